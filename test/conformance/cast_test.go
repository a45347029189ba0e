// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// role identifies a set of rights. There is a KubeVisionUser and a user of kube-apiserver for each role.
type role string

const (
	// member may read one namespace of the host cluster.
	member role = "member"
	// operator has all rights on the host cluster, and may use every registered cluster.
	operator role = "operator"
	// stranger has no role bindings.
	stranger role = "stranger"
)

// cast holds the users and objects to which the requests of the tests refer.
type cast struct {
	users      map[role]fixture.User
	logins     map[role]fixture.Login
	kubernetes map[role]string

	// own is a namespace that the test users with the role "member" may read.
	own string
	// other is a namespace that the test users with the role "member" may not read.
	other string
	// remote is the name of a registered cluster that the test users with the role "member" may use. KubeVision cannot
	// connect to the cluster.
	remote string
	// hidden is the name of a registered cluster that the test users with the role "member" may not use. KubeVision
	// cannot connect to the cluster.
	hidden string
	// config is the name of a ConfigMap that the test users with the role "member" may read.
	config        string
	configVersion string

	// required is a user who must set up a second factor.
	required fixture.User
	// half is the access token of a user who must set up a second factor, but has not done so yet.
	half     string
	disabled fixture.User
	// broken is a user whose stored credentials are unreadable.
	broken fixture.User
	// brokenSession is an access token of a user. The stored credentials of the user became unreadable after the login.
	brokenSession string
	// binding is the name of the KubeVisionRoleBinding for the test users with the role "operator".
	binding string

	// bad contains invalid access tokens. The keys of the map describe the tokens.
	bad map[string]string
	// expired contains expired access tokens. The keys of the map describe the tokens.
	expired map[string]string
}

func newCast(t *testing.T) *cast {
	t.Helper()
	s, direct := target.set(), target.direct(t)
	s.HostCluster(t, target.Host)
	c := &cast{
		users: map[role]fixture.User{}, logins: map[role]fixture.Login{}, kubernetes: map[role]string{},
		own: s.Namespace(t, "conformance-own"), other: s.Namespace(t, "conformance-other"),
		remote: s.RemoteCluster(t, "conformance-remote"), hidden: s.RemoteCluster(t, "conformance-hidden"),
		config: "settings",
	}
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.own, Name: c.config},
		Data: map[string]string{"key": "value"}}
	s.Create(t, settings)
	c.configVersion = settings.ResourceVersion
	for _, r := range []role{member, operator, stranger} {
		c.users[r] = s.User(t, "conformance-"+string(r))
		c.kubernetes[r] = fixture.Name("conformance-kube-" + string(r))
	}
	subjects := func(r role) []kubevisionv1alpha1.Subject {
		return append(fixture.KubeVisionUsers(c.users[r]), fixture.KubernetesUsers(c.kubernetes[r])...)
	}
	s.Bind(t, "conformance-member", fixture.Grant{Role: "readonly", Subjects: subjects(member), Cluster: target.Host,
		Namespaces: []string{c.own}})
	s.Bind(t, "conformance-remote", fixture.Grant{Role: "readonly", Subjects: subjects(member), Cluster: c.remote,
		Unconnected: true})
	c.binding = s.Bind(t, "conformance-operator",
		fixture.Grant{Role: "admin", Subjects: subjects(operator), Cluster: target.Host}).Name
	c.letUseAll(t, s)

	c.required = s.User(t, "conformance-required", func(u *kubevisionv1alpha1.KubeVisionUser) {
		u.Spec.TwoFactor = kubevisionv1alpha1.TwoFactorRequired
	})
	c.disabled = s.User(t, "conformance-disabled",
		func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true })
	c.broken = s.User(t, "conformance-broken")
	c.brokenSession = c.broken.Login(t, direct, wire.DirectPath).AccessToken
	s.BreakCredentials(t, c.broken)
	for r, u := range c.users {
		c.logins[r] = u.Login(t, direct, wire.DirectPath)
	}
	var half fixture.Login
	direct.Call(t, fixture.LoginRequest(wire.DirectPath, c.required.Name, c.required.Password)).Want(t,
		wire.TwoFactorRequired).Into(t, &half)
	c.half = half.AccessToken
	fixture.Eventually(t, "wait until the member may use the remote cluster", func(ctx context.Context) error {
		return direct.Answers(ctx, wire.Unreachable, wire.Request{
			Path: wire.DirectPath + "/clusters/" + c.remote + "/resources/pods", Bearer: c.logins[member].AccessToken,
		})
	})
	fixture.Eventually(t, "wait until the operator may read Secrets", func(ctx context.Context) error {
		return direct.Answers(ctx, wire.OK, wire.Request{
			Path:   wire.DirectPath + c.host() + "/resources/secrets?namespace=" + c.own,
			Bearer: c.logins[operator].AccessToken,
		})
	})
	c.refuseLabel(t, s)
	c.forge(t, s)
	return c
}

// letUseAll allows the test users with the role "operator" to use every registered cluster. It grants no rights within
// the clusters, because some clusters may not belong to the tests.
func (c *cast) letUseAll(t *testing.T, s fixture.Set) {
	t.Helper()
	// A KubeVisionRoleBinding would also grant rights within the clusters.
	name := fixture.Name("conformance-use-all")
	s.Create(t, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{kubevisionv1alpha1.GroupName},
			Resources: []string{"kubevisionclusters"}, Verbs: []string{"use"}}},
	})
	subject := func(user string) rbacv1.Subject {
		return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}
	}
	s.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{subject("kubevision:" + c.users[operator].Name), subject(c.kubernetes[operator])},
	})
}

// forge creates expired and invalid access tokens of the test user with the role "operator".
func (c *cast) forge(t *testing.T, s fixture.Set) {
	t.Helper()
	login := c.logins[operator]
	token := fixture.Take(t, login.AccessToken)
	key, own := s.SigningKey(t, token.Header["kid"]), fixture.OwnKey(t)
	ended := c.users[operator].Login(t, target.direct(t), wire.DirectPath)
	s.Delete(t, &kubevisionv1alpha1.KubeVisionSession{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(t, ended.AccessToken).Session()},
	})
	fixture.Eventually(t, "wait until the server knows of the end of a session", func(ctx context.Context) error {
		return target.direct(t).Answers(ctx, wire.TokenExpired, wire.Request{
			Path: wire.DirectPath + "/users/me", Bearer: ended.AccessToken,
		})
	})
	c.expired = map[string]string{
		"with its session": ended.AccessToken,
		"a minute ago":     token.Aged(time.Minute).Sign(t, key),
		"a year ago":       token.Aged(365*24*time.Hour).Sign(t, key),
	}
	c.bad = map[string]string{
		"not a token":               "x",
		"the refresh token":         login.RefreshToken,
		"signed with another key":   token.Sign(t, own),
		"expired, with another key": token.Aged(time.Minute).Sign(t, own),
		"not signed":                token.Unsigned(t),
		"expired, not signed":       token.Aged(time.Minute).Unsigned(t),
		"of another kind":           token.WithHeader("typ", "JWT").Sign(t, key),
		"of an unknown key":         token.WithHeader("kid", "01ARZ3NDEKTSV4RRFFQ69G5FAV").Sign(t, key),
		"for somebody else to read": token.With(map[string]any{"aud": "elsewhere"}).Sign(t, key),
		"from another issuer":       token.With(map[string]any{"iss": "elsewhere"}).Sign(t, key),
		"not valid yet":             token.With(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}).Sign(t, key),
		"without an end":            token.With(map[string]any{"exp": nil}).Sign(t, key),
		"of a user with another UID": token.With(map[string]any{"uid": "00000000-0000-0000-0000-000000000000"}).Sign(t,
			key),
		"of another user's session": token.With(map[string]any{"sub": c.users[member].Name,
			"uid": string(c.users[member].Object.UID)}).Sign(t, key),
		"of a user who does not exist":  token.With(map[string]any{"sub": "nobody"}).Sign(t, key),
		"of an ended session, not ours": fixture.Take(t, ended.AccessToken).Sign(t, own),
		"of an ended session, changed": fixture.Take(t, ended.AccessToken).
			With(map[string]any{"aud": "elsewhere"}).Sign(t, key),
		"with more than three segments": login.AccessToken + ".x",
	}
	for name, raw := range map[string]string{"good": token.Sign(t, key)} {
		e := target.direct(t).Call(t, wire.Request{Path: wire.DirectPath + "/users/me", Bearer: raw})
		if e.Code != wire.OK {
			t.Fatalf("the test cannot forge tokens: a %s token gets %d (%s)", name, e.Code, e.Message)
		}
	}
}
