// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/kubevision-io/kubevision/pkg/identity"
)

// OnMember converts subjects to the names that they have on a cluster other than the host. A ServiceAccount of the host
// becomes a user there, because a ServiceAccount with the same name on that cluster is a different account.
func OnMember(subjects []rbacv1.Subject) []rbacv1.Subject {
	out := slices.Clone(subjects)
	for i, s := range out {
		switch s.Kind {
		case rbacv1.ServiceAccountKind:
			out[i] = rbacUser(identity.OnMember(serviceAccountUser(s.Namespace, s.Name)))
		default:
			out[i].Name = identity.OnMember(s.Name)
		}
	}
	return out
}

// OnMember converts the names on the host cluster to the names on a member cluster. ServiceAccounts become users.
func (i Impersonation) OnMember() Impersonation {
	out := Impersonation{Users: memberNames(i.Users), Groups: memberNames(i.Groups)}
	if len(i.ServiceAccounts) > 0 {
		out.Users = out.Users.Clone()
		// A ServiceAccount with the same name on the member cluster is a different account.
		for a := range i.ServiceAccounts {
			out.Users.Insert(identity.OnMember(serviceAccountUser(a.Namespace, a.Name)))
		}
	}
	return out
}

// memberNames converts the names of users or groups on the host to their names on other clusters. If no name changes,
// it returns the same set, because a copy of up to 600,000 names would be expensive.
func memberNames(hostNames sets.Set[string]) sets.Set[string] {
	var differing []string
	for n := range hostNames {
		if identity.OnMember(n) != n {
			differing = append(differing, n)
		}
	}
	if len(differing) == 0 {
		return hostNames
	}
	out := hostNames.Clone().Delete(differing...)
	for _, n := range differing {
		out.Insert(identity.OnMember(n))
	}
	return out
}
