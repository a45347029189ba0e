// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity defines the Kubernetes names of KubeVision's users: alice is the Kubernetes user "kubevision:alice"
// in the group "kubevision:users" and in "kubevision:group:<g>" for each of her groups, on every cluster. Other users
// of the host have the same name on every cluster, except those that OnMember renames.
package identity

import "strings"

const (
	// UserPrefix begins the Kubernetes user name of every KubeVisionUser.
	UserPrefix = "kubevision:"
	// UsersGroup is the Kubernetes group of all KubeVisionUsers.
	UsersGroup = "kubevision:users"
	// GroupPrefix begins the Kubernetes group of every KubeVision group.
	GroupPrefix = "kubevision:group:"
	// GroupMember is the user name under which a cluster sees users whom bindings name only by a Kubernetes group. An
	// account that may impersonate any user name could impersonate everybody. The two colons distinguish the name from
	// every KubeVisionUser.
	GroupMember = "kubevision::group-member"
	// HostPrefix begins the name under which a member cluster sees a user or a group whose name on the host begins with
	// "system:".
	HostPrefix = "kubevision:host:"

	// systemPrefix begins the names that each cluster gives to its own ServiceAccounts, nodes and components.
	systemPrefix = "system:"
)

// OnMember returns the name under which a member cluster sees a Kubernetes user or group of the host. Names that begin
// with "system:" denote another user on each cluster, and the member's own RBAC may grant rights to them.
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
