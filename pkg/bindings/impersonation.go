// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/identity"
)

const serviceAccountPrefix = "system:serviceaccount:"

func serviceAccountUser(namespace, name string) string {
	return serviceAccountPrefix + namespace + ":" + name
}

// Impersonation is who may be acted for: exactly the users and groups that bindings name.
type Impersonation struct {
	Users           sets.Set[string]
	Groups          sets.Set[string]
	ServiceAccounts sets.Set[types.NamespacedName]
}

// ImpersonationOf collects whom the subjects name. A KubeVision group stands for the KubeVisionUsers in it; a Kubernetes group, whose
// members are not known here, for identity.GroupMember.
func ImpersonationOf(subjects []kubevisionv1alpha1.Subject, users Users) Impersonation {
	out := Impersonation{Users: sets.New[string](), Groups: sets.New[string](), ServiceAccounts: sets.New[types.NamespacedName]()}
	for _, s := range subjects {
		switch s.Kind {
		case kubevisionv1alpha1.SubjectKubeVisionUser:
			if _, ok := users[s.Name]; ok {
				out.Users.Insert(identity.UserName(s.Name))
			}
		case kubevisionv1alpha1.SubjectKubeVisionGroup:
			out.Groups.Insert(identity.GroupName(s.Name))
			out.Users.Insert(members(s.Name, users)...)
		case kubevisionv1alpha1.SubjectUser:
			out.Users.Insert(s.Name)
		case kubevisionv1alpha1.SubjectGroup:
			out.Groups.Insert(s.Name)
			out.Users.Insert(identity.GroupMember)
		case kubevisionv1alpha1.SubjectServiceAccount:
			out.ServiceAccounts.Insert(types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
		}
	}
	return out
}

func members(group string, users Users) []string {
	var out []string
	for name, u := range users {
		for _, g := range u.Spec.Groups {
			if g == group {
				out = append(out, identity.UserName(name))
			}
		}
	}
	return out
}

// As is the identity under which a cluster sees a user of this name and these groups: the groups that bindings name, and the name where
// they name it. It is false for somebody whom no binding names in either way; there is nobody to act as then.
func (i Impersonation) As(user string, groups []string) (string, []string, bool) {
	named := make([]string, 0, len(groups))
	for _, g := range groups {
		if i.Groups.Has(g) {
			named = append(named, g)
		}
	}
	if user == "" {
		return "", nil, false
	}
	if i.Users.Has(user) || i.hasServiceAccount(user) {
		return user, named, true
	}
	if len(named) == 0 || strings.HasPrefix(user, identity.UserPrefix) {
		return "", nil, false
	}
	return identity.GroupMember, named, true
}

func (i Impersonation) hasServiceAccount(user string) bool {
	namespace, name, ok := strings.Cut(strings.TrimPrefix(user, serviceAccountPrefix), ":")
	return ok && strings.HasPrefix(user, serviceAccountPrefix) && i.ServiceAccounts.Has(types.NamespacedName{Namespace: namespace, Name: name})
}
