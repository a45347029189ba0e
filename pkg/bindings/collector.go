// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/identity"
)

// collector adds the names in the subjects of bindings to an Impersonation, one binding at a time.
type collector struct {
	users         Users
	members       map[string][]*kubevisionv1alpha1.KubeVisionUser
	impersonation Impersonation
	addedUsers    sets.Set[*kubevisionv1alpha1.KubeVisionUser]
	// addedGroups contains the names of the KubeVision groups whose members were added to collector.impersonation.
	addedGroups sets.Set[string]
	// accounts contains the number of added ServiceAccounts in each namespace.
	accounts map[string]int
	// remaining is the number of bytes that further names may take. It is negative if the names have exceeded their
	// size limit.
	remaining       int
	maxBytesPerRole int
	// remainingOfRole maps the name of a ClusterRole to the number of bytes that further bindings of this ClusterRole
	// may add to collector.impersonation. A ClusterRole has no entry until the first binding of this ClusterRole is
	// added.
	remainingOfRole map[string]int
	// undo contains functions that revert the additions of the current binding.
	undo []func()
}

// newCollector returns a collector. The names that it collects take at most maxBytes bytes in total.
func newCollector(
	all []kubevisionv1alpha1.KubeVisionRoleBinding, users []kubevisionv1alpha1.KubeVisionUser, maxBytes int,
) *collector {
	// Without indexes of the users and members, a search among thousands of users for each subject would take seconds
	// of CPU time.
	c := &collector{
		users:   IndexUsers(users),
		members: map[string][]*kubevisionv1alpha1.KubeVisionUser{},
		impersonation: Impersonation{Users: sets.New[string](), Groups: sets.New[string](),
			ServiceAccounts: sets.New[types.NamespacedName]()},
		addedUsers:      sets.New[*kubevisionv1alpha1.KubeVisionUser](),
		addedGroups:     sets.New[string](),
		accounts:        map[string]int{},
		remaining:       maxBytes,
		maxBytesPerRole: RoleShare(maxBytes),
		remainingOfRole: map[string]int{},
	}
	for i := range all {
		for _, s := range all[i].Spec.Subjects {
			if s.Kind == kubevisionv1alpha1.SubjectKubeVisionGroup {
				c.members[s.Name] = nil
			}
		}
	}
	for i := range users {
		for _, g := range users[i].Spec.Groups {
			if found, named := c.members[g]; named {
				c.members[g] = append(found, &users[i])
			}
		}
	}
	return c
}

// collect adds the names for the subjects of a binding to collector.impersonation, and returns true. If a size limit
// would be exceeded, collect adds nothing and returns false.
func (c *collector) collect(clusterRole string, subjects []kubevisionv1alpha1.Subject) bool {
	c.undo = c.undo[:0]
	ofRole, known := c.remainingOfRole[clusterRole]
	if !known {
		ofRole = c.maxBytesPerRole
	}
	before := c.remaining
	for _, s := range subjects {
		switch s.Kind {
		case kubevisionv1alpha1.SubjectKubeVisionUser:
			if u, ok := c.users[s.Name]; ok {
				c.user(u)
			}
		case kubevisionv1alpha1.SubjectKubeVisionGroup:
			c.group(s.Name)
		case kubevisionv1alpha1.SubjectUser:
			c.name(c.impersonation.Users, s.Name)
		case kubevisionv1alpha1.SubjectGroup:
			c.name(c.impersonation.Groups, s.Name)
			// KubeVision does not know the members of Kubernetes groups in advance. It impersonates this user name for
			// all of them.
			c.name(c.impersonation.Users, identity.GroupMember)
		case kubevisionv1alpha1.SubjectServiceAccount:
			c.account(types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
		}
		if spent := before - c.remaining; c.remaining < 0 || spent > ofRole {
			for _, undo := range slices.Backward(c.undo) {
				undo()
			}
			return false
		}
	}
	c.remainingOfRole[clusterRole] = ofRole - (before - c.remaining)
	return true
}

func (c *collector) user(u *kubevisionv1alpha1.KubeVisionUser) {
	if c.addedUsers.Has(u) {
		return
	}
	c.addedUsers.Insert(u)
	c.undo = append(c.undo, func() { c.addedUsers.Delete(u) })
	c.name(c.impersonation.Users, identity.UserName(u.Name))
	// RBAC objects that KubeVision has not created may grant rights to any group of the user. Therefore, all groups are
	// added, even groups that no binding names.
	for _, g := range identity.Groups(u.Spec.Groups) {
		c.name(c.impersonation.Groups, g)
	}
}

func (c *collector) group(name string) {
	if c.addedGroups.Has(name) {
		return
	}
	c.addedGroups.Insert(name)
	c.undo = append(c.undo, func() { c.addedGroups.Delete(name) })
	c.name(c.impersonation.Groups, identity.GroupName(name))
	for _, u := range c.members[name] {
		c.user(u)
	}
}

func (c *collector) name(into sets.Set[string], name string) {
	if into.Has(name) {
		return
	}
	into.Insert(name)
	c.spend(len(name)+nameOverhead, func() { into.Delete(name) })
}

func (c *collector) account(a types.NamespacedName) {
	if c.impersonation.ServiceAccounts.Has(a) {
		return
	}
	bytes := len(a.Name) + nameOverhead
	if c.accounts[a.Namespace] == 0 {
		bytes += accountNamespaceBytes
	}
	c.accounts[a.Namespace]++
	c.impersonation.ServiceAccounts.Insert(a)
	c.spend(bytes, func() {
		c.accounts[a.Namespace]--
		c.impersonation.ServiceAccounts.Delete(a)
	})
}

func (c *collector) spend(bytes int, undo func()) {
	c.remaining -= bytes
	c.undo = append(c.undo, func() {
		c.remaining += bytes
		undo()
	})
}
