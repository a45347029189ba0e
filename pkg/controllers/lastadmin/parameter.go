// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package lastadmin

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// maxAdmins bounds the number of names in the field Admins of the KubeVisionPolicyParameter.
const maxAdmins = 256

type grant struct {
	user *kubevisionv1alpha1.KubeVisionUser
	// binding is the name of a KubeVisionRoleBinding that makes the user an administrator.
	binding string
	// subject is an element of spec.subjects in the KubeVisionRoleBinding. It names the user or a group of the user.
	subject kubevisionv1alpha1.Subject
}

// grantsOf returns a grant for each user who is a subject of the binding, except for users who are disabled or being
// deleted.
func grantsOf(b *kubevisionv1alpha1.KubeVisionRoleBinding, users []kubevisionv1alpha1.KubeVisionUser) []grant {
	var out []grant
	for _, s := range b.Spec.Subjects {
		for i := range users {
			u := &users[i]
			if !u.Spec.Disabled && u.DeletionTimestamp.IsZero() && matchesSubject(s, u) {
				out = append(out, grant{user: u, binding: b.Name, subject: s})
			}
		}
	}
	return out
}

func matchesSubject(s kubevisionv1alpha1.Subject, u *kubevisionv1alpha1.KubeVisionUser) bool {
	switch s.Kind {
	case kubevisionv1alpha1.SubjectKubeVisionUser:
		return s.Name == u.Name
	case kubevisionv1alpha1.SubjectKubeVisionGroup:
		return slices.Contains(u.Spec.Groups, s.Name)
	case kubevisionv1alpha1.SubjectUser, kubevisionv1alpha1.SubjectGroup, kubevisionv1alpha1.SubjectServiceAccount:
	}
	return false
}

func parameter(grants []grant) *kubevisionv1alpha1.LastAdminParameter {
	users, through, groups := sets.New[string](), sets.New[string](), sets.New[string]()
	subjects := sets.New[kubevisionv1alpha1.AdminSubject]()
	byName := false
	for _, g := range grants {
		users.Insert(g.user.Name)
		through.Insert(g.binding)
		subjects.Insert(kubevisionv1alpha1.AdminSubject{Kind: g.subject.Kind, Name: g.subject.Name})
		if g.subject.Kind == kubevisionv1alpha1.SubjectKubeVisionGroup {
			groups.Insert(g.subject.Name)
		} else {
			byName = true
		}
	}
	admins := sets.List(users)
	out := &kubevisionv1alpha1.LastAdminParameter{
		Admins:     admins[:min(len(admins), maxAdmins)],
		AdminCount: int32(len(admins)), //nolint:gosec // the number of users is limited
	}
	// Admission policies prevent the removal of the objects in the fields User and Binding.
	if len(admins) == 1 {
		out.User = admins[0]
		if !byName { // the user must remain in one of the groups
			out.UserGroups = sets.List(groups)
		}
	}
	if through.Len() == 1 {
		out.Binding = sets.List(through)[0]
		out.BindingSubjects = slices.SortedFunc(maps.Keys(subjects), compareSubjects)
	}
	return out
}

func compareSubjects(a, b kubevisionv1alpha1.AdminSubject) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}
