// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity says how the users of KubeVision appear to Kubernetes: alice is the Kubernetes user "kubevision:alice" in the
// group "kubevision:users" and in "kubevision:group:<g>" for each of her groups, on every cluster. Other users of the host have the same
// name on every cluster, unless OnMember says otherwise.
package identity

import "strings"

const (
	// UserPrefix begins the Kubernetes user name of every KubeVisionUser.
	UserPrefix = "kubevision:"
	// UsersGroup is the Kubernetes group of all KubeVisionUsers.
	UsersGroup = "kubevision:users"
	// GroupPrefix begins the Kubernetes group of every KubeVision group.
	GroupPrefix = "kubevision:group:"
	// GroupMember is the user name under which a cluster sees somebody whom bindings name only by a Kubernetes group, since an
	// account that may impersonate any user name would be able to impersonate anybody. Its two colons keep it apart from every
	// KubeVisionUser.
	GroupMember = "kubevision::group-member"
	// HostPrefix begins the name under which a member cluster sees a user or a group whose name on the host begins with
	// "system:".
	HostPrefix = "kubevision:host:"

	// systemPrefix begins the names that each cluster gives to parties of its own: ServiceAccounts, nodes, components.
	systemPrefix = "system:"
)

// OnMember returns the name under which a member cluster sees a Kubernetes user or group of the host. Names that begin
// with "system:" mean another party on each cluster, and the member's own RBAC may give rights to them.
func OnMember(name string) string {
	if strings.HasPrefix(name, systemPrefix) {
		return HostPrefix + name
	}
	return name
}

// UserName is the Kubernetes user name of the KubeVisionUser of that name.
func UserName(name string) string { return UserPrefix + name }

// GroupName is the Kubernetes group of the KubeVision group of that name.
func GroupName(name string) string { return GroupPrefix + name }

// Groups are the Kubernetes groups of a user with these KubeVision groups, without those that Kubernetes itself adds.
func Groups(groups []string) []string {
	out := make([]string, 0, len(groups)+1)
	out = append(out, UsersGroup)
	for _, g := range groups {
		out = append(out, GroupName(g))
	}
	return out
}
