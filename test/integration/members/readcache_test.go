// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

const readerName = "kubevision-reader"

func readerRights(tb testing.TB, member *plane) []string {
	tb.Helper()
	isReader := func(s rbacv1.Subject) bool { return s.Name == readerName && s.Namespace == fixture.SystemNamespace }
	var out []string
	var all rbacv1.ClusterRoleBindingList
	var inNamespaces rbacv1.RoleBindingList
	if err := errors.Join(member.admin.List(tb.Context(), &all),
		member.admin.List(tb.Context(), &inNamespaces)); err != nil {
		tb.Fatal(err)
	}
	for _, b := range all.Items {
		if slices.ContainsFunc(b.Subjects, isReader) {
			out = append(out, b.RoleRef.Kind+" "+b.RoleRef.Name)
		}
	}
	for _, b := range inNamespaces.Items {
		if slices.ContainsFunc(b.Subjects, isReader) {
			out = append(out, "in "+b.Namespace+": "+b.RoleRef.Name)
		}
	}
	slices.Sort(out)
	return out
}

func setReadCache(tb testing.TB, c *kubevisionv1alpha1.KubeVisionCluster, mode kubevisionv1alpha1.ReadCacheMode) {
	tb.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"readCache":"`+string(mode)+`"}}`))
	if err := env.Client.Patch(tb.Context(), c, patch); err != nil {
		tb.Fatal(err)
	}
}

// TestReaderOfAMember verifies the ServiceAccount with which KubeVision reads objects of a cluster for the read cache:
//   - The ServiceAccount is bound only to the ClusterRole view and to a ClusterRole of KubeVision.
//   - The ServiceAccount can read Pods and nodes, but no Secrets.
//   - KubeVision deletes the ServiceAccount when the read cache is disabled.
func TestReaderOfAMember(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReadCacheCondition, metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonReaderApplied)
	if diff := cmp.Diff([]string{"ClusterRole " + readerName, "ClusterRole view"},
		readerRights(t, member)); diff != "" {
		t.Errorf("the rights (-want +got):\n%s", diff)
	}
	connections := newConnections(t)
	connection := connect(t, connections, c.Name)
	reader, err := connection.Reader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The API server may use the bindings with a delay.
	fixture.Eventually(t, "read Pods and nodes", func(context.Context) error {
		if !reads(t, reader, "/api/v1/pods?limit=1") || !reads(t, reader, "/api/v1/nodes?limit=1") {
			return errors.New("they are not read")
		}
		return nil
	})
	for path, want := range map[string]bool{
		"/api/v1/pods?limit=1": true, "/api/v1/nodes?limit=1": true,
		"/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=1":         true,
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions?limit=1": true,
		"/api/v1/secrets":                          false,
		"/api/v1/namespaces/default/secrets/x":     false,
		"/api/v1/namespaces/default/pods/x/log":    false,
		"/api/v1/watch/secrets":                    false,
		"/api/v1/namespaces/default/../../secrets": false,
		"/healthz": false,
		"/apis/authentication.k8s.io/v1/tokenreviews":  false,
		"/api/v1/namespaces/default/pods/x/proxy/":     false,
		"/apis/coordination.k8s.io/v1/leases?limit=10": false, // the role view does not contain it
	} {
		if got := reads(t, reader, path); got != want {
			t.Errorf("%s is read: %t", path, got)
		}
	}
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		reader.Config.Host+"/api/v1/namespaces/default/pods", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := reader.Client.Do(post); err == nil {
		_ = answer.Body.Close()
		t.Error("the reader has sent a POST request")
	}

	setReadCache(t, c, kubevisionv1alpha1.ReadCacheDisabled)
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReadCacheCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonDisabled)
	ready(t, c)
	if left := readerRights(t, member); len(left) > 0 {
		t.Errorf("the account still has %v", left)
	}
	for _, o := range []client.Object{
		named(&corev1.ServiceAccount{}, fixture.SystemNamespace, readerName),
		named(&rbacv1.ClusterRole{}, "", readerName),
	} {
		if err := member.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); client.IgnoreNotFound(err) != nil ||
			err == nil {
			t.Errorf("%T is left: %v", o, err)
		}
	}
	fixture.Eventually(t, "see that there is no reader", noReader(connections, c.Name))
}

func reads(tb testing.TB, reader *clusters.Reader, path string) bool {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, reader.Config.Host+path, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	answer, err := reader.Client.Do(r)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}

// TestMemberWithoutTheRightToBind verifies that a cluster becomes Ready even if its kubeconfig does not allow the verb
// bind on the ClusterRole view. Without this right, the member has no read cache.
func TestMemberWithoutTheRightToBind(t *testing.T) {
	member := theOther(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault,
		Name: fixture.Name("modest")}}
	member.set().Create(t, account)
	rule := func(group, resources, verbs string, resourceNames ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: strings.Split(resources, ","), Verbs: strings.Split(verbs, ","),
			ResourceNames: resourceNames,
		}
	}
	const writing = "get,list,watch,create,patch,delete"
	member.set().Create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: account.Name},
		Rules: []rbacv1.PolicyRule{
			rule("", "namespaces,serviceaccounts,secrets", writing), rule("", "nodes", "list"),
			rule("", "serviceaccounts/token", "create"),
			rule(rbacv1.GroupName, "roles,rolebindings,clusterroles,clusterrolebindings", writing),
			rule(rbacv1.GroupName, "roles,clusterroles", "escalate"), rule(rbacv1.GroupName, "roles", "bind"),
			rule(rbacv1.GroupName, "clusterroles", "bind", "kubevision-impersonator", readerName),
		}})
	member.set().Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace,
			Name: account.Name}},
	})
	config := member.AnonymousConfig()
	config.BearerToken = tokenOf(t, member.Config(), account)
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		t.Fatal(err)
	}
	c := registerText(t, string(text), nil)
	condition(t, c, collection, kubevisionv1alpha1.ClusterReadCacheCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonForbidden)
	ready(t, c)
}

// TestTwinDisablesTheReadCache verifies that one of two registrations of the same cluster can disable the read cache
// of the cluster. The other registration must not enable the read cache again.
func TestTwinDisablesTheReadCache(t *testing.T) {
	member := theOther(t)
	one, two := register(t, member.Config(), nil), register(t, member.Config(), nil)
	ready(t, one)
	ready(t, two)
	setReadCache(t, two, kubevisionv1alpha1.ReadCacheDisabled)
	for _, c := range []*kubevisionv1alpha1.KubeVisionCluster{two, one} {
		condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReadCacheCondition,
			metav1.ConditionFalse, kubevisionv1alpha1.ReasonDisabled)
	}
	if left := readerRights(t, member); len(left) > 0 {
		t.Errorf("the account still has %v", left)
	}
	setReadCache(t, two, kubevisionv1alpha1.ReadCacheEnabled)
	for _, c := range []*kubevisionv1alpha1.KubeVisionCluster{two, one} {
		condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReadCacheCondition,
			metav1.ConditionTrue, kubevisionv1alpha1.ReasonReaderApplied)
	}
}
