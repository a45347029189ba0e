// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"cmp"
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

// Impersonation contains the users, groups and ServiceAccounts that KubeVision may impersonate on a cluster.
// CollectImpersonation finds their names in bindings. If a binding names a KubeVisionUser, Groups contains all groups
// with which KubeVision impersonates this user. Therefore, the user also gets the rights that the cluster itself grants
// to these groups.
type Impersonation struct {
	Users           sets.Set[string]
	Groups          sets.Set[string]
	ServiceAccounts sets.Set[types.NamespacedName]
}

// ImpersonationBudget bounds the size of the names in an Impersonation, in bytes. About 600,000 names of 20 characters
// fit.
const ImpersonationBudget = 16 << 20

const (
	// nameOverhead is the number of bytes that a name takes in addition to its characters.
	nameOverhead = 8
	// accountNamespaceBytes is the number of bytes of the Role and the RoleBinding that allow the impersonation of a
	// namespace's ServiceAccounts, without the names of the ServiceAccounts.
	accountNamespaceBytes = 2 << 10
)

// CollectImpersonation returns the names in the subjects of the given bindings. For a KubeVision group, it also returns
// the names of the KubeVisionUsers in the group. For a Kubernetes group, it also returns identity.GroupMember.
// KubeVision impersonates the members of the group with this user name, because it does not know their own names.
//
// The parameter budget limits the size of all names together, in bytes. RoleShare(budget) limits the size of the names
// that the bindings of one role add. CollectImpersonation adds the names of the bindings from the oldest to the newest
// binding. If a binding exceeds a limit, CollectImpersonation adds none of its names, and returns the UID of the
// binding.
func CollectImpersonation(
	all []kubevisionv1alpha1.KubeVisionRoleBinding, users []kubevisionv1alpha1.KubeVisionUser, budget int,
) (Impersonation, sets.Set[types.UID]) {
	c := newCollector(all, users, budget)
	left := sets.New[types.UID]()
	for _, b := range SortByCreation(all) {
		if b.DeletionTimestamp.IsZero() && !c.collect(ClusterRole(b.Spec.RoleRef), b.Spec.Subjects) {
			left.Insert(b.UID)
		}
	}
	return c.out, left
}

// SortByCreation returns pointers to the given bindings, from the oldest to the newest. Bindings of the same second are
// sorted by name.
func SortByCreation(all []kubevisionv1alpha1.KubeVisionRoleBinding) []*kubevisionv1alpha1.KubeVisionRoleBinding {
	out := make([]*kubevisionv1alpha1.KubeVisionRoleBinding, 0, len(all))
	for i := range all {
		out = append(out, &all[i])
	}
	slices.SortFunc(out, func(a, b *kubevisionv1alpha1.KubeVisionRoleBinding) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return out
}

// Identity returns the user name and the groups with which KubeVision impersonates a user on a cluster. It omits groups
// that i does not contain. The returned user name is:
//
//   - the same name, if i contains the user
//   - identity.GroupMember, if i contains only groups of the user
//
// Identity returns false if i contains neither the user nor one of the groups. It also returns false for a
// KubeVisionUser whom i does not contain, even if i contains a group of this user.
func (i Impersonation) Identity(user string, groups []string) (string, []string, bool) {
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
	return ok && strings.HasPrefix(user, serviceAccountPrefix) &&
		i.ServiceAccounts.Has(types.NamespacedName{Namespace: namespace, Name: name})
}
