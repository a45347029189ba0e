// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"slices"
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

// Impersonation is who may be acted for: exactly the users and groups that bindings name. A KubeVisionUser comes with all of their groups,
// which nobody else is in, so that what the cluster's own RBAC gives to those counts too.
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
			if u, ok := users[s.Name]; ok {
				out.add(u)
			}
		case kubevisionv1alpha1.SubjectKubeVisionGroup:
			out.Groups.Insert(identity.GroupName(s.Name))
			for _, u := range users {
				if slices.Contains(u.Spec.Groups, s.Name) {
					out.add(u)
				}
			}
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

func (i Impersonation) add(u *kubevisionv1alpha1.KubeVisionUser) {
	i.Users.Insert(identity.UserName(u.Name))
	i.Groups.Insert(identity.Groups(u.Spec.Groups)...)
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
