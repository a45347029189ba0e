// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"net/http"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestANamespaceOfAKindThatHasNone verifies that the query parameter namespace has no effect on cluster-scoped kinds if
// the value is a valid name. Dashboards send the parameter with every request, and kubectl ignores its flag --namespace
// for such kinds. A namespace in the path must be an error.
func TestANamespaceOfAKindThatHasNone(t *testing.T) {
	admin, ns := newPerson(t, "admin"), set().Namespace(t, "shown")
	name := fixture.Name("class")
	set().Later(t, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}})
	const kind = "/resources/priorityclasses"
	query := "?namespace=" + ns
	class := `{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"` + name + `"},"value":7}`
	admin.send(t, http.MethodPost, kind+"/dry-run"+query, jsonType, class).Want(t, wire.OK)
	admin.send(t, http.MethodPost, kind+query, jsonType, class).Want(t, wire.OK)
	read := decoded(t, admin.get(t, kind+"/"+name+query))
	read["description"] = "shown"
	admin.send(t, http.MethodPut, kind+"/"+name+"/dry-run"+query, jsonType, encoded(t, read)).Want(t, wire.OK)
	admin.send(t, http.MethodPut, kind+"/"+name+query, jsonType, encoded(t, read)).Want(t, wire.OK)
	admin.send(t, http.MethodPatch, kind+"/"+name+query, mergeType, `{"description":"other"}`).Want(t, wire.OK)
	if got := names(t, admin.get(t, kind+query)); !slices.Contains(got, name) {
		t.Errorf("it is not listed: %v", got)
	}
	for _, wrong := range []string{in(ns, "priorityclasses"), in(ns, "priorityclasses", name)} {
		if e := admin.get(t, wrong).Want(t, wire.Invalid); e.Meta.Field != "namespace" {
			t.Errorf("%s: the field is %q", wrong, e.Meta.Field)
		}
	}
	admin.get(t, kind+"?namespace=No_Name").Want(t, wire.Invalid)
	admin.send(t, http.MethodDelete, kind+"/"+name+query, "", "").Want(t, wire.OK)
	admin.get(t, kind+"/"+name+query).Want(t, wire.NotFound)
}

// TestARefusalSaysWhatIsMissing verifies that a user with some rights in a namespace gets an error about the missing
// right, and not about the namespace.
func TestARefusalSaysWhatIsMissing(t *testing.T) {
	ns := set().Namespace(t, "partly")
	p := newPerson(t, "readonly", set().Namespace(t, "elsewhere"))
	role := metav1.ObjectMeta{Namespace: ns, Name: "configmaps"}
	set().Create(t, &rbacv1.Role{ObjectMeta: role, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}},
	}})
	set().Create(t, &rbacv1.RoleBinding{
		ObjectMeta: role, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "kubevision:" + p.Name}},
	})
	fixture.Eventually(t, "list ConfigMaps", answers(p, in(ns, "configmaps")))
	for _, tc := range []struct{ method, path, body, want string }{
		{http.MethodGet, in(ns, "pods"), "", "list pods"},
		{http.MethodGet, in(ns, "configmaps", "x"), "", `get configmaps "x"`},
		{http.MethodGet, in(ns, "deployments", "x"), "", `get deployments.apps "x"`},
		{http.MethodPut, "/namespaces/" + ns + "/deployments/x/scale", `{"replicas":1}`,
			`patch deployments.apps/scale "x"`},
		{http.MethodPost, in(ns, "configmaps"), `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}`,
			"create configmaps"},
	} {
		want := "you may not " + tc.want + ` in namespace "` + ns + `", and you may not get the namespace`
		if e := p.send(t, tc.method, tc.path, jsonType, tc.body).Want(t, wire.NamespaceForbidden); e.Message != want {
			t.Errorf("%s %s: %q, want %q", tc.method, tc.path, e.Message, want)
		}
	}
}
