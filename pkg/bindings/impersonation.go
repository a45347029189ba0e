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
type Impersonation struct {
	Users           sets.Set[string]
	Groups          sets.Set[string]
	ServiceAccounts sets.Set[types.NamespacedName]
}

// ImpersonationBudget bounds the size of all names in an Impersonation, in bytes.
const ImpersonationBudget = 16 << 20

const (
	// nameOverhead is added to the length of each name when the size of the names is computed. It is an estimate of the
	// bytes that a name additionally takes in the resourceNames of a ClusterRole or Role.
	nameOverhead = 8
	// accountNamespaceBytes is the size of a Role and its RoleBinding, in bytes, without the names of ServiceAccounts.
	// The Role allows the impersonation of ServiceAccounts of one namespace.
	accountNamespaceBytes = 2 << 10
)

// CollectImpersonation returns the names that KubeVision may impersonate for the subjects of the bindings. The budget
// limits the size of these names, in bytes. CollectImpersonation leaves out bindings whose names do not fit, and also
// returns the UIDs of these bindings. Older bindings have precedence.
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
	return c.impersonation, left
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

// Identity returns the user name and the groups that KubeVision impersonates for a user. It returns false if KubeVision
// may not impersonate the user.
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
	// A KubeVisionUser is impersonated only with the name of the user, not as a member of a Kubernetes group.
	if len(named) == 0 || strings.HasPrefix(user, identity.UserPrefix) {
		return "", nil, false
	}
	return identity.GroupMember, named, true // Bindings name groups of the user, but not the user.
}

func (i Impersonation) hasServiceAccount(user string) bool {
	namespace, name, ok := strings.Cut(strings.TrimPrefix(user, serviceAccountPrefix), ":")
	return ok && strings.HasPrefix(user, serviceAccountPrefix) &&
		i.ServiceAccounts.Has(types.NamespacedName{Namespace: namespace, Name: name})
}
