// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

func subjectsNamed(names ...string) []rbacv1.Subject {
	var out []rbacv1.Subject
	for _, n := range names {
		out = append(out, rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: n})
	}
	return out
}

func TestNarrowBindings(t *testing.T) {
	view, edit := rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"}, rbacv1.RoleRef{Kind: "ClusterRole", Name: "edit"}
	for name, tc := range map[string]struct {
		existing, desired rbacv1.RoleBinding
		kept              []rbacv1.Subject
		changed           bool
	}{
		"equal": {rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a")},
			rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a")}, subjectsNamed("a"), false},
		"grows": {rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a")},
			rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a", "b")}, subjectsNamed("a"), false},
		"shrinks": {rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a", "b")},
			rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("b")}, subjectsNamed("b"), true},
		"shrinks, grows": {rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a", "b")},
			rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("b", "c")}, subjectsNamed("b"), true},
		"no common subject": {rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a")},
			rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("b")}, nil, true},
		"another role": {rbacv1.RoleBinding{RoleRef: edit, Subjects: subjectsNamed("a")},
			rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a")}, nil, true},
		"same, reordered": {rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("a", "b")},
			rbacv1.RoleBinding{RoleRef: view, Subjects: subjectsNamed("b", "a")}, subjectsNamed("a", "b"), false},
	} {
		got, changed := narrow(&tc.existing, &tc.desired)
		var kept []rbacv1.Subject
		if b, ok := got.(*rbacv1.RoleBinding); ok && b != nil {
			kept = b.Subjects
		}
		if diff := cmp.Diff(tc.kept, kept); diff != "" || changed != tc.changed {
			t.Errorf("%s: changed %v (-want +got):\n%s", name, changed, diff)
		}
	}
}

func TestNarrowRules(t *testing.T) {
	use := func(names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{"g"}, Resources: []string{"r"}, Verbs: []string{"use"},
			ResourceNames: names}
	}
	other := rbacv1.PolicyRule{APIGroups: []string{"g"}, Resources: []string{"r"}, Verbs: []string{"*"},
		ResourceNames: []string{"a"}}
	for name, tc := range map[string]struct {
		existing, desired, kept []rbacv1.PolicyRule
		changed                 bool
	}{
		"equal": {[]rbacv1.PolicyRule{use("a")}, []rbacv1.PolicyRule{use("a")},
			[]rbacv1.PolicyRule{use("a")}, false},
		"grows": {[]rbacv1.PolicyRule{use("a")}, []rbacv1.PolicyRule{use("a", "b")},
			[]rbacv1.PolicyRule{use("a")}, false},
		"to all names": {[]rbacv1.PolicyRule{use("a")}, []rbacv1.PolicyRule{use()},
			[]rbacv1.PolicyRule{use("a")}, false},
		"from all names": {[]rbacv1.PolicyRule{use()}, []rbacv1.PolicyRule{use("a")},
			[]rbacv1.PolicyRule{use("a")}, true},
		"shrinks, grows": {[]rbacv1.PolicyRule{use("a", "b")}, []rbacv1.PolicyRule{use("b", "c")},
			[]rbacv1.PolicyRule{use("b")}, true},
		"no name is left": {[]rbacv1.PolicyRule{use("a")}, []rbacv1.PolicyRule{use("b")}, nil, true},
		"a rule by hand": {[]rbacv1.PolicyRule{use("a"), other}, []rbacv1.PolicyRule{use("a")},
			[]rbacv1.PolicyRule{use("a")}, true},
		"no existing rules": {nil, []rbacv1.PolicyRule{use("a")}, nil, false},
		"no desired rules":  {[]rbacv1.PolicyRule{use("a")}, nil, nil, true},
	} {
		kept, changed := narrowRules(tc.existing, tc.desired)
		if diff := cmp.Diff(tc.kept, kept); diff != "" || changed != tc.changed {
			t.Errorf("%s: changed %v (-want +got):\n%s", name, changed, diff)
		}
	}
}
