// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity defines the Kubernetes names of KubeVision's users: alice is the Kubernetes user "kubevision:alice"
// in the group "kubevision:users" and in "kubevision:group:<g>" for each of her groups, on every cluster. Other users
// of the host have the same name on every cluster, except those that OnMember renames.
package identity

import "strings"

const (
	// UserPrefix is the prefix of the Kubernetes user name of every KubeVisionUser.
	UserPrefix = "kubevision:"
	// UsersGroup is the Kubernetes group of all KubeVisionUsers.
	UsersGroup = "kubevision:users"
	// GroupPrefix is the prefix of the Kubernetes group of every KubeVision group.
	GroupPrefix = "kubevision:group:"
	// GroupMember is the name with which users who are bound only through a Kubernetes group act on clusters. With
	// their own names, the impersonating account would need the right to impersonate any user. The two colons
	// distinguish the name from every KubeVisionUser.
	GroupMember = "kubevision::group-member"
	// HostPrefix precedes, on member clusters, the name of a user or group of the host that begins with "system:".
	HostPrefix = "kubevision:host:"

	// systemPrefix is the prefix of the names that each cluster assigns to its own ServiceAccounts, nodes and
	// components.
	systemPrefix = "system:"
)

// OnMember returns the name that a Kubernetes user or group of the host has on a member cluster. Names that begin with
// "system:" denote different users on each cluster, and the member's own RBAC may grant rights to them.
func OnMember(name string) string {
	if strings.HasPrefix(name, systemPrefix) {
		return HostPrefix + name
	}
	return name
}

// UserName returns the Kubernetes user name of a KubeVisionUser.
func UserName(name string) string { return UserPrefix + name }

// GroupName returns the Kubernetes group of a KubeVision group.
func GroupName(name string) string { return GroupPrefix + name }

// Groups returns the Kubernetes groups of a user with KubeVision groups, without the groups that Kubernetes itself
// adds.
func Groups(groups []string) []string {
	out := make([]string, 0, len(groups)+1)
	out = append(out, UsersGroup)
	for _, g := range groups {
		out = append(out, GroupName(g))
	}
	return out
}
