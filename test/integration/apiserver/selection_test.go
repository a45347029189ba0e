// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// managed returns an actor who may manage users and clusters, but may not bind any role.
func managed(t *testing.T) actor {
	t.Helper()
	return newActor(t, role(t,
		rule("kubevision.io", "kubevisionusers", "*"), rule("kubevision.io", "kubevisionclusters", "*"),
		rule("kubevision.io", "kubevisionsessions", "*"),
		rule("", "secrets", "create", "get", "update", "delete"), rule("", "namespaces", "get", "patch", "update")))
}

func wantBindDenied(t *testing.T, what, role string, e wire.Envelope) {
	t.Helper()
	if e.Code != wire.Forbidden || !strings.Contains(e.Message, `"bind" on ClusterRole "`+role+`"`) {
		t.Errorf("%s: code %d (%s)", what, e.Code, e.Message)
	}
}

// TestManagersGrantNothing verifies that a manager of users and clusters cannot grant a role indirectly. For example,
// the manager cannot add a user to a group that has a role.
func TestManagersGrantNothing(t *testing.T) {
	c, a := direct(t), managed(t)
	team, zone, listed := fixture.Name("team"), fixture.Name("zone"), fixture.Name("listed")
	victim := set().User(t, "victim", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{team} })
	off := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("off")}}
	off.Spec.Groups, off.Spec.Disabled = []string{team}, true
	set().Create(t, off)
	plain := set().User(t, "plain")
	powerful := role(t, rule("", "pods", "get"))
	set().Create(t, &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("standing")},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: append(subject(kubevisionv1alpha1.SubjectKubeVisionGroup, team),
				subject(kubevisionv1alpha1.SubjectKubeVisionUser, listed)...),
			RoleRef: kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleClusterRole, Name: powerful},
			Clusters: kubevisionv1alpha1.ClusterTargets{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{zone: "sandbox"}}},
		},
	})
	registered := fields{"name": fixture.Name("cluster"), "authType": "kubeconfig",
		"kubeconfig": kubeconfigWith("x", ""), "labels": fields{zone: "sandbox"}}
	user := fields{"username": listed, "password": anotherPassword}
	for what, r := range map[string]wire.Request{
		"a cluster with the label": post(t, "/clusters", registered),
		"the label":                put(t, "/clusters/"+host, fields{"labels": fields{zone: "sandbox"}}),
		"a user who is named":      post(t, "/users", user),
		"a user of the group": post(t, "/users",
			user.with(fields{"username": fixture.Name("new"), "groups": []string{team}})),
		"the group":          put(t, "/users/"+plain.Name, fields{"groups": []string{team}}),
		"enabling":           put(t, "/users/"+off.Name, fields{"isActive": true}),
		"the second factor":  post(t, "/users/"+victim.Name+"/reset-2fa", fields{}),
		"the first password": put(t, "/users/"+off.Name+"/reset-password", fields{"newPassword": anotherPassword}),
		"the general endpoint": {
			Method: "PATCH", Path: wire.DirectPath + onHost + "/resources/kubevisionusers.v1alpha1.kubevision.io/" +
				plain.Name, Body: `{"spec":{"groups":["` + team + `"]}}`,
			Header: http.Header{"Content-Type": {"application/merge-patch+json"}},
		},
	} {
		wantBindDenied(t, what, powerful, c.Call(t, as(a.AccessToken, r)))
	}
	gone, secret := registration(registered["name"].(string)) //nolint:errcheck,forcetypeassert // made above
	absent(t, gone)
	absent(t, secret)
	_, password := registration(off.Name)
	password.Name = off.Name + "-password"
	absent(t, password)

	set().Later(t, gone)
	set().Later(t, secret)
	c.Call(t, as(a.AccessToken, post(t, "/clusters", registered.with(fields{"labels": fields{zone: "other"}})))).Want(t,
		wire.OK)
	c.Call(t, as(a.AccessToken, put(t, "/users/"+plain.Name, fields{"groups": []string{"nobodys"}}))).Want(t, wire.OK)
}

// TestSessionsAreNotWritten verifies that even an administrator cannot create a KubeVisionSession through the generic
// resource endpoint.
func TestSessionsAreNotWritten(t *testing.T) {
	c, a := direct(t), newActor(t, "admin")
	body := `{"apiVersion":"kubevision.io/v1alpha1","kind":"KubeVisionSession","metadata":{"name":"` +
		fixture.Name("forged") + `"},"spec":{"userName":"admin",` +
		`"userUID":"x","expirationTime":"2099-01-01T00:00:00Z","refreshTokenHash":"` + strings.Repeat("a", 64) + `"}}`
	e := c.Call(t, as(a.AccessToken, wire.Request{Method: "POST",
		Path: wire.DirectPath + onHost + "/resources/kubevisionsessions.v1alpha1.kubevision.io", Body: body}))
	e.Want(t, wire.Rejected)
}
