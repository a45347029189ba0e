// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization/verdicts"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// revoked is the maximum time for which a right can be used after its revocation.
const revoked = time.Second

func noReader(connections *clusters.Connections, cluster string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := connections.Get(ctx, cluster)
		if err != nil {
			return err
		}
		if _, err := connection.Reader(ctx); !errors.Is(err, clusters.ErrNoReader) {
			return fmt.Errorf("the error is %w", err)
		}
		return nil
	}
}

// reviewer is the handler of a proxy for a registered cluster. It counts access reviews, and can abort requests.
type reviewer struct {
	reviews atomic.Int32
	// silent is true if reviews get no response.
	silent atomic.Bool

	mu sync.Mutex
	// readerContext is canceled to abort the requests of the ServiceAccount kubevision-reader.
	readerContext context.Context
	cancelReader  context.CancelFunc
}

func (v *reviewer) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
		v.reviews.Add(1)
		if v.silent.Load() {
			panic(http.ErrAbortHandler)
		}
	}
	if !ofReader(r) {
		next.ServeHTTP(w, r)
		return
	}
	v.mu.Lock()
	readerContext := v.readerContext
	v.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := context.AfterFunc(readerContext, cancel)
	defer stop()
	if readerContext.Err() != nil {
		panic(http.ErrAbortHandler)
	}
	next.ServeHTTP(w, r.WithContext(ctx))
}

func (v *reviewer) restoreReader() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.readerContext, v.cancelReader = context.WithCancel(context.Background())
}

func ofReader(r *http.Request) bool {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		return false
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && strings.Contains(string(claims),
		"system:serviceaccount:"+fixture.SystemNamespace+":"+readerName)
}

// reviewedUser is a user who calls a registered cluster through a proxy that counts access reviews.
type reviewedUser struct {
	*reviewer

	member    *plane
	cache     *verdicts.Cache
	caller    *clusters.Client
	namespace string
}

func newReviewedUser(t *testing.T) *reviewedUser {
	t.Helper()
	member := theOther(t)
	f := newFront(t, member)
	u := &reviewedUser{reviewer: &reviewer{}, member: member, cache: verdicts.New(),
		namespace: member.set().Namespace(t, "judged")}
	u.restoreReader()
	f.set(u.serve)
	c := register(t, f.config(member.token(t)), nil)
	ready(t, c)
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReadCacheCondition, metav1.ConditionTrue, "")
	account := set().User(t, "judged")
	set().Bind(t, "judged", fixture.Grant{ // with a binding in another namespace, KubeVision may impersonate the user
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(account), Cluster: c.Name,
		Namespaces: []string{"default"},
	})
	t.Cleanup(u.cache.Stop)
	u.caller = callerOf(t, connect(t, newConnections(t), c.Name), account.Name)
	fixture.Eventually(t, "act for the user", func(ctx context.Context) error {
		return u.checkAllowed(ctx, listPodsIn("default"), true)
	})
	return u
}

func listPodsIn(namespace string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Verb: "list", Version: "v1", Resource: "pods", Namespace: namespace}
}

func (u *reviewedUser) checkAllowed(
	ctx context.Context, attributes authorizationv1.ResourceAttributes, want bool,
) error {
	allowed, err := u.cache.AllowedStale(ctx, u.caller, attributes, time.Now(), readonlyRoles)
	if err == nil && allowed != want {
		return fmt.Errorf("allowed: %t", allowed)
	}
	return err
}

func (u *reviewedUser) awaitVerdict(t *testing.T, what string, want bool) {
	t.Helper()
	begun := time.Now()
	for {
		err := u.checkAllowed(t.Context(), listPodsIn(u.namespace), want)
		if err == nil {
			t.Logf("%s: after %s", what, time.Since(begun).Round(time.Millisecond))
			return
		}
		if time.Since(begun) > revoked {
			t.Fatalf("%s: after %s: %v", what, revoked, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// awaitCached waits until the result of an access review for listing Pods is cached and equals wantAllowed.
func (u *reviewedUser) awaitCached(t *testing.T, wantAllowed bool) {
	t.Helper()
	fixture.Eventually(t, "keep the verdict", func(ctx context.Context) error {
		before := u.reviews.Load()
		for range 20 {
			if err := u.checkAllowed(ctx, listPodsIn(u.namespace), wantAllowed); err != nil {
				return err
			}
		}
		if n := u.reviews.Load() - before; n > 0 {
			return fmt.Errorf("%d reviews for 20 questions", n)
		}
		return nil
	})
}

func (u *reviewedUser) binding(role string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: u.namespace, Name: fixture.Name("direct")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName,
			Name: u.caller.Identity().UserName}},
	}
}

// TestRevokedRightsEndVerdicts verifies that a user loses a right within a second after its revocation in the
// registered cluster. The revocation may change a RoleBinding or a ClusterRole. Without a change of RBAC objects,
// repeated requests must cause no access reviews.
func TestRevokedRightsEndVerdicts(t *testing.T) {
	u := newReviewedUser(t)
	admin := u.member.admin
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("direct")},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"},
			Verbs: []string{"list"}}},
	}
	u.member.set().Create(t, role)
	rules := role.Rules
	u.awaitCached(t, false)
	binding := u.binding(role.Name)
	for what, step := range map[string]struct{ give, take func() error }{
		"the RoleBinding": {
			func() error { binding = u.binding(role.Name); return admin.Create(t.Context(), binding) },
			func() error { return admin.Delete(t.Context(), binding) },
		},
		"its subjects": {
			func() error { binding = u.binding(role.Name); return admin.Create(t.Context(), binding) },
			func() error { binding.Subjects = nil; return admin.Update(t.Context(), binding) },
		},
		"the rules of the ClusterRole": {
			func() error {
				role.Rules = rules
				binding = u.binding(role.Name)
				return errors.Join(admin.Update(t.Context(), role), admin.Create(t.Context(), binding))
			},
			func() error { role.Rules = nil; return admin.Update(t.Context(), role) },
		},
	} {
		for range 3 {
			role.Rules = rules
			if err := errors.Join(admin.Update(t.Context(), role), step.give()); err != nil {
				t.Fatal(err)
			}
			u.awaitVerdict(t, what+" gives", true)
			u.awaitCached(t, true)
			if err := step.take(); err != nil {
				t.Fatal(err)
			}
			u.awaitVerdict(t, what+" is taken away", false)
			if err := client.IgnoreNotFound(admin.Delete(t.Context(), binding)); err != nil {
				t.Fatal(err)
			}
			u.awaitCached(t, false)
		}
	}
}

// TestNoVerdictWithoutAWatch verifies that each request causes an access review while KubeVision cannot watch the RBAC
// objects of a registered cluster. After the watches are restored, the results of access reviews must be cached again.
func TestNoVerdictWithoutAWatch(t *testing.T) {
	u := newReviewedUser(t)
	binding := u.binding("view")
	u.member.set().Create(t, binding)
	u.awaitVerdict(t, "given", true)
	u.awaitCached(t, true)
	u.cancelReader()
	fixture.Eventually(t, "ask each time", func(ctx context.Context) error {
		const times = 10
		before := u.reviews.Load()
		for range times {
			if err := u.checkAllowed(ctx, listPodsIn(u.namespace), true); err != nil {
				return err
			}
		}
		if n := u.reviews.Load() - before; n != times {
			return fmt.Errorf("%d reviews for %d questions", n, times)
		}
		return nil
	})
	if err := u.member.admin.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	u.awaitVerdict(t, "taken away while nobody watches", false)
	u.restoreReader()
	u.awaitCached(t, false)
}

// TestVerdictsOfAMemberThatIsGone verifies which reads are allowed while a registered cluster does not respond to
// access reviews:
//   - A read that was allowed just before the outage remains allowed while the caller has the same roles.
//   - All other reads fail with the code 50200.
func TestVerdictsOfAMemberThatIsGone(t *testing.T) {
	u := newReviewedUser(t)
	u.member.set().Create(t, u.binding("view"))
	u.awaitVerdict(t, "given", true)
	u.awaitCached(t, true)
	u.silent.Store(true)
	if err := u.checkAllowed(t.Context(), listPodsIn(u.namespace), true); err != nil {
		t.Errorf("a verdict in force is not used: %v", err)
	}
	u.cancelReader()
	lost := func(context.Context) ([]kubevisionv1alpha1.RoleReference, error) {
		return []kubevisionv1alpha1.RoleReference{{Name: "another"}}, nil
	}
	fixture.Eventually(t, "be refused without the role of before", func(ctx context.Context) error {
		allowed, err := u.cache.AllowedStale(ctx, u.caller, listPodsIn(u.namespace), time.Now(), lost)
		if allowed || err == nil {
			return fmt.Errorf("allowed: %t (%w)", allowed, err)
		}
		return nil
	})
	_, err := u.cache.AllowedStale(t.Context(), u.caller, listPodsIn(u.namespace), time.Now(), lost)
	if code := envelope.As(err).Code; code != dashboardv1alpha1.CodeUnreachable {
		t.Errorf("the code is %d: %v", code, err)
	}
	allowed, err := u.cache.AllowedStale(t.Context(), u.caller, listPodsIn(u.namespace), time.Now(), readonlyRoles)
	if err != nil || !allowed {
		t.Errorf("who was allowed before is not: %t, %v", allowed, err)
	}
	for what, a := range map[string]authorizationv1.ResourceAttributes{
		"what was never asked": listPodsIn("kube-system"), "another verb": {Verb: "watch", Version: "v1",
			Resource: "pods", Namespace: u.namespace},
	} {
		allowed, err := u.cache.AllowedStale(t.Context(), u.caller, a, time.Now(), readonlyRoles)
		if allowed || err == nil || envelope.As(err).Code != dashboardv1alpha1.CodeUnreachable {
			t.Errorf("%s: allowed: %t, %v", what, allowed, err)
		}
	}
	u.silent.Store(false)
	u.restoreReader()
	u.awaitCached(t, true)
}

func readonlyRoles(context.Context) ([]kubevisionv1alpha1.RoleReference, error) {
	return []kubevisionv1alpha1.RoleReference{{Name: "readonly"}}, nil
}
