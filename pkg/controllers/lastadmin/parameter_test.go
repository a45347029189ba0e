// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package lastadmin

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func TestParameter(t *testing.T) {
	toUser := func(name string) kubevisionv1alpha1.Subject {
		return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: name}
	}
	toGroup := func(name string) kubevisionv1alpha1.Subject {
		return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: name}
	}
	users := make([]kubevisionv1alpha1.KubeVisionUser, 4)
	for i, name := range []string{"alice", "bob", "off", "leaving"} {
		users[i].Name = name
	}
	users[1].Spec.Groups = []string{"admins", "web"}
	users[2].Spec.Disabled = true
	users[3].DeletionTimestamp = &metav1.Time{}
	users[3].DeletionTimestamp.Time = metav1.Now().Time
	type parameters = kubevisionv1alpha1.LastAdminParameter
	subject := func(kind kubevisionv1alpha1.SubjectKind, name string) kubevisionv1alpha1.AdminSubject {
		return kubevisionv1alpha1.AdminSubject{Kind: kind, Name: name}
	}
	alice := subject(kubevisionv1alpha1.SubjectKubeVisionUser, "alice")
	for name, tc := range map[string]struct {
		bindings map[string][]kubevisionv1alpha1.Subject
		want     parameters
	}{
		"nobody": {nil, parameters{}},
		"not usable": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("off"), toUser("leaving"),
			toUser("gone")}}, parameters{}},
		"one, by name": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("alice"), toUser("off")}},
			parameters{Admins: []string{"alice"}, AdminCount: 1, User: "alice", Binding: "a",
				BindingSubjects: []kubevisionv1alpha1.AdminSubject{alice}}},
		"one, by group": {map[string][]kubevisionv1alpha1.Subject{"a": {toGroup("web"), toGroup("admins")}},
			parameters{
				Admins: []string{"bob"}, AdminCount: 1, User: "bob", UserGroups: []string{"admins", "web"},
				Binding: "a",
				BindingSubjects: []kubevisionv1alpha1.AdminSubject{
					subject(kubevisionv1alpha1.SubjectKubeVisionGroup, "admins"),
					subject(kubevisionv1alpha1.SubjectKubeVisionGroup, "web"),
				},
			}},
		"one, both ways": {map[string][]kubevisionv1alpha1.Subject{"a": {toGroup("admins")}, "b": {toUser("bob")}},
			parameters{Admins: []string{"bob"}, AdminCount: 1, User: "bob"}},
		"two, by one": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("bob"), toUser("alice")}},
			parameters{Admins: []string{"alice", "bob"}, AdminCount: 2, Binding: "a",
				BindingSubjects: []kubevisionv1alpha1.AdminSubject{
					alice, subject(kubevisionv1alpha1.SubjectKubeVisionUser, "bob"),
				}}},
		"two, by two": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("alice")}, "b": {toUser("bob")}},
			parameters{Admins: []string{"alice", "bob"}, AdminCount: 2}},
		"a Kubernetes user": {map[string][]kubevisionv1alpha1.Subject{"a": {{Kind: kubevisionv1alpha1.SubjectUser,
			Name: "alice"}}}, parameters{}},
	} {
		t.Run(name, func(t *testing.T) {
			var grants []grant
			for name, subjects := range tc.bindings {
				b := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
				b.Spec.Subjects = subjects
				grants = append(grants, grantsOf(b, users)...)
			}
			if diff := cmp.Diff(&tc.want, parameter(grants), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyAdministrators verifies that the field admins of a KubeVisionPolicyParameter contains at most 256 names. The
// field adminCount contains the number of all administrators.
func TestManyAdministrators(t *testing.T) {
	const many = 20_000
	grants := make([]grant, many)
	for i := range grants {
		u := &kubevisionv1alpha1.KubeVisionUser{}
		u.Name = fmt.Sprintf("%063d", i)
		subject := kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: "admins"}
		grants[i] = grant{user: u, binding: "a", subject: subject}
	}
	got := parameter(grants)
	if len(got.Admins) != maxAdmins || got.AdminCount != many || got.Binding != "a" || len(got.BindingSubjects) != 1 {
		t.Errorf("of %d administrators, the parameter has %d (%d), and the binding %s with %d subjects", many,
			len(got.Admins), got.AdminCount, got.Binding, len(got.BindingSubjects))
	}
}
