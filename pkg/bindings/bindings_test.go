// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/identity"
)

func users(deleting ...string) Users {
	alice := kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: "alice"}}
	alice.Spec.Groups = []string{"web"}
	bob := kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: "bob"}}
	list := []kubevisionv1alpha1.KubeVisionUser{alice, bob}
	for i := range list {
		if slices.Contains(deleting, list[i].Name) {
			list[i].DeletionTimestamp = &metav1.Time{}
			list[i].DeletionTimestamp.Time = metav1.Now().Time
		}
	}
	return IndexUsers(list)
}

func everyKind() []kubevisionv1alpha1.Subject {
	return []kubevisionv1alpha1.Subject{
		{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: "alice"},
		{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: "nobody"},
		{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: "web"},
		{Kind: kubevisionv1alpha1.SubjectUser, Name: "jane"},
		{Kind: kubevisionv1alpha1.SubjectGroup, Name: "devs"},
		{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: "ci", Name: "bot"},
	}
}

func TestSubjects(t *testing.T) {
	found, missing := Subjects(everyKind(), users())
	want := []rbacv1.Subject{
		{APIGroup: rbacv1.GroupName, Kind: "User", Name: "kubevision:alice"},
		{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "kubevision:group:web"},
		{APIGroup: rbacv1.GroupName, Kind: "User", Name: "jane"},
		{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "devs"},
		{Kind: "ServiceAccount", Namespace: "ci", Name: "bot"},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
	if !slices.Equal(missing, []string{"nobody"}) {
		t.Errorf("missing are %v", missing)
	}
	if found, _ := Subjects(everyKind()[:1], users("alice")); len(found) != 0 {
		t.Errorf("a user who is being deleted still gets %v", found)
	}
}

func TestNames(t *testing.T) {
	subjects, _ := Subjects(everyKind(), users())
	for _, tc := range []struct {
		user   string
		groups []string
		want   bool
	}{
		{"kubevision:alice", nil, true},
		{"alice", nil, false},
		{"kubevision:bob", nil, false},
		{"kubevision:bob", []string{"kubevision:group:web"}, true},
		{"jane", nil, true},
		{"joe", []string{"devs"}, true},
		{"devs", []string{"jane"}, false},
		{"system:serviceaccount:ci:bot", nil, true},
		{"system:serviceaccount:other:bot", nil, false},
		{"bot", nil, false},
	} {
		if got := ContainsUser(subjects, tc.user, tc.groups); got != tc.want {
			t.Errorf("%s %v: %v, want %v", tc.user, tc.groups, got, tc.want)
		}
	}
}

func TestImpersonation(t *testing.T) {
	var people []kubevisionv1alpha1.KubeVisionUser
	for _, u := range users() {
		people = append(people, *u)
	}
	i, left := CollectImpersonation(bindingsOf(everyKind()), people, ImpersonationBudget)
	if left.Len() > 0 {
		t.Errorf("left out are %v", left)
	}
	for name, tc := range map[string]struct {
		user       string
		groups     []string
		wantUser   string
		wantGroups []string
	}{
		"user by name": {"kubevision:alice", nil, "kubevision:alice", nil},
		"with groups that are named": {"kubevision:alice",
			[]string{"kubevision:users", "kubevision:group:web", "system:authenticated"}, "kubevision:alice",
			[]string{"kubevision:users", "kubevision:group:web"}},
		"never as a master": {"jane", []string{"system:masters", "devs"}, "jane", []string{"devs"}},
		"by a Kubernetes group alone": {"joe", []string{"devs", "others"}, identity.GroupMember,
			[]string{"devs"}},
		"service account": {"system:serviceaccount:ci:bot", []string{"system:serviceaccounts"},
			"system:serviceaccount:ci:bot", nil},
		"of another namespace":               {"system:serviceaccount:cd:bot", nil, "", nil},
		"user who is not named":              {"kubevision:bob", nil, "", nil},
		"not named, in a group":              {"kubevision:bob", []string{"devs"}, "", nil},
		"nobody":                             {"", []string{"devs"}, "", nil},
		"master whom no binding names":       {"root", []string{"system:masters"}, "", nil},
		"user who does not exist":            {"kubevision:nobody", nil, "", nil},
		"the bare name of a KubeVision user": {"alice", nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			user, groups, ok := i.Identity(tc.user, tc.groups)
			if ok != (tc.wantUser != "") || user != tc.wantUser || !slices.Equal(groups, tc.wantGroups) {
				t.Errorf("got %q %v %v, want %q %v", user, groups, ok, tc.wantUser, tc.wantGroups)
			}
		})
	}
}

func TestClusterRole(t *testing.T) {
	for _, tc := range []struct {
		ref  kubevisionv1alpha1.RoleReference
		want string
	}{
		{kubevisionv1alpha1.RoleReference{Name: "admin"}, "kubevision:admin"},
		{kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleKubeVision, Name: "dev"}, "kubevision:dev"},
		{kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleClusterRole, Name: "admin"}, "admin"},
		{kubevisionv1alpha1.RoleReference{Name: "pod-reader"}, "pod-reader"},
	} {
		if got := ClusterRole(tc.ref); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.ref, got, tc.want)
		}
	}
}

func TestSelects(t *testing.T) {
	dev := map[string]string{"env": "dev"}
	bySelector := func(s metav1.LabelSelector) kubevisionv1alpha1.ClusterTargets {
		return kubevisionv1alpha1.ClusterTargets{Selector: &s}
	}
	for name, tc := range map[string]struct {
		targets kubevisionv1alpha1.ClusterTargets
		want    bool
		wantErr bool
		every   bool
	}{
		"by name":     {kubevisionv1alpha1.ClusterTargets{Names: []string{"a", "b"}}, true, false, false},
		"other names": {kubevisionv1alpha1.ClusterTargets{Names: []string{"b"}}, false, false, false},
		"nothing":     {kubevisionv1alpha1.ClusterTargets{}, false, false, false},
		"every":       {bySelector(metav1.LabelSelector{}), true, false, true},
		"label":       {bySelector(metav1.LabelSelector{MatchLabels: dev}), true, false, false},
		"other label": {bySelector(metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}), false,
			false, false},
		"broken selector": {bySelector(metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: "Near"}}}), false, true, false},
	} {
		got, err := SelectsCluster(tc.targets, "a", dev)
		if got != tc.want || (err != nil) != tc.wantErr {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tc.want)
		}
		if every := SelectsEveryCluster(tc.targets); every != tc.every {
			t.Errorf("%s: selects every cluster: %v", name, every)
		}
	}
	byLabel, err := NamespaceSelection(&kubevisionv1alpha1.NamespaceTargets{
		Selector: &metav1.LabelSelector{MatchLabels: dev}})
	if err != nil || !byLabel("a", dev) || byLabel("a", nil) {
		t.Errorf("a selector of namespaces selects otherwise: %v", err)
	}
	byName, err := NamespaceSelection(&kubevisionv1alpha1.NamespaceTargets{Names: []string{"a"}})
	if err != nil || !byName("a", nil) || byName("b", nil) {
		t.Errorf("names of namespaces select otherwise: %v", err)
	}
}

// TestGrantedRoles verifies that a binding applies in the namespaces that it names, in the namespaces that its selector
// has matched on the cluster, or in the whole cluster.
func TestGrantedRoles(t *testing.T) {
	binding := func(
		role string, targets *kubevisionv1alpha1.NamespaceTargets, cluster string, applied ...string,
	) kubevisionv1alpha1.KubeVisionRoleBinding {
		b := kubevisionv1alpha1.KubeVisionRoleBinding{}
		b.Spec.RoleRef.Name, b.Spec.Namespaces = role, targets
		b.Status.Clusters = []kubevisionv1alpha1.RoleBindingClusterStatus{{Name: cluster, Namespaces: applied}}
		return b
	}
	every := &kubevisionv1alpha1.NamespaceTargets{Selector: &metav1.LabelSelector{}}
	some := []kubevisionv1alpha1.KubeVisionRoleBinding{
		binding("named", &kubevisionv1alpha1.NamespaceTargets{Names: []string{"a"}}, "one", "a", "taken-away"),
		binding("selected", every, "one", "a", "b"),
		binding("again", every, "one", "b"),
		binding("again", every, "one", "b"),
		binding("elsewhere", every, "two", "c"),
	}
	names := func(bound []kubevisionv1alpha1.KubeVisionRoleBinding, namespace string) []string {
		var out []string
		for _, role := range GrantedRoles(bound, "one", namespace) {
			out = append(out, role.Name)
		}
		return out
	}
	for namespace, want := range map[string][]string{
		"a": {"named", "selected"}, "b": {"again", "selected"}, "c": nil, "taken-away": nil, "": nil,
	} {
		if got := names(some, namespace); !slices.Equal(got, want) {
			t.Errorf("namespace %q: %q, want %q", namespace, got, want)
		}
		got := names(append(slices.Clone(some), binding("whole", nil, "one")), namespace)
		if !slices.Contains(got, "whole") {
			t.Errorf("a binding of the whole cluster does not cover namespace %q: %q", namespace, got)
		}
	}
}
