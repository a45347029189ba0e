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

// Impersonation contains the users and groups that may be impersonated: exactly the names in bindings. It contains all
// KubeVision groups of a KubeVisionUser, so that the rights of these groups on a cluster apply. These groups have no
// other members.
type Impersonation struct {
	Users           sets.Set[string]
	Groups          sets.Set[string]
	ServiceAccounts sets.Set[types.NamespacedName]
}

// ImpersonationBudget bounds the names in an Impersonation, in bytes. It allows for about 600,000 names of 20
// characters.
const ImpersonationBudget = 16 << 20

const (
	// nameOverhead is the size of a name in addition to its characters.
	nameOverhead = 8
	// accountNamespaceBytes is the size of the Role and RoleBinding for the ServiceAccounts of a namespace, without
	// names.
	accountNamespaceBytes = 2 << 10
)

// CollectImpersonation collects the names in the subjects of bindings. For a KubeVision group, it collects the
// KubeVisionUsers in it. For a Kubernetes group, whose members are unknown, it collects identity.GroupMember. Bindings
// use the budget in the order of their creation, and the bindings of one role use at most RoleShare of it. It omits
// bindings whose names exceed the remaining budget, and returns their UIDs.
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

// SortByCreation returns the bindings from the oldest to the newest.
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

// Identity returns the identity as which a user is impersonated on a cluster: the groups that bindings name, and the
// user name if a binding names it. It returns false if no binding names the user or a group of the user. Such a user
// cannot be impersonated.
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
