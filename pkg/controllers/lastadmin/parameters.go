// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package lastadmin

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// Keys of the ConfigMap, which the policies in config/admission read. An absent key restricts nothing.
const (
	// userKey is the user without whom there is no usable administrator.
	userKey = "user"
	// userGroupsKey are the groups of that user of which at least one must remain. It is absent if a binding names the
	// user.
	userGroupsKey = "userGroups"
	// bindingKey is the binding without which there is no usable administrator.
	bindingKey = "binding"
	// bindingSubjectsKey are the subjects of that binding, as <kind>/<name>, of which at least one must remain.
	bindingSubjectsKey = "bindingSubjects"
	// adminsKey are the usable administrators, for information: the first maxAdmins, and an ellipsis if there are more.
	adminsKey = "admins"
	maxAdmins = 256
	ellipsis  = "..."

	// separator does not occur in names of users and groups.
	separator = ","
)

// grant is a subject of a binding that makes a user an administrator.
type grant struct {
	user    *kubevisionv1alpha1.KubeVisionUser
	binding string
	subject kubevisionv1alpha1.Subject
}

// grantsOf returns the grants of one binding to users who are neither disabled nor being deleted.
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

// parameters returns the data of the ConfigMap: the objects that must not be removed, because there would be no usable
// administrator left.
func parameters(grants []grant) map[string]string {
	users, through, subjects, groups := sets.New[string](), sets.New[string](), sets.New[string](), sets.New[string]()
	byName := false
	for _, g := range grants {
		users.Insert(g.user.Name)
		through.Insert(g.binding)
		subjects.Insert(string(g.subject.Kind) + "/" + g.subject.Name)
		if g.subject.Kind == kubevisionv1alpha1.SubjectKubeVisionGroup {
			groups.Insert(g.subject.Name)
		} else {
			byName = true
		}
	}
	out := map[string]string{adminsKey: first(sets.List(users))}
	if users.Len() == 1 {
		out[userKey] = join(users)
		if !byName {
			out[userGroupsKey] = join(groups)
		}
	}
	if through.Len() == 1 {
		out[bindingKey], out[bindingSubjectsKey] = join(through), join(subjects)
	}
	return out
}

func join(s sets.Set[string]) string { return strings.Join(sets.List(s), separator) }

func first(admins []string) string {
	if len(admins) > maxAdmins {
		admins = append(admins[:maxAdmins], ellipsis)
	}
	return strings.Join(admins, separator)
}
