// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity defines the user and group names with which KubeVision impersonates users. The KubeVisionUser alice
// is impersonated as the user kubevision:alice with the group kubevision:users, and with the group kubevision:group:<g>
// for each group g of the KubeVisionUser. Other users of the host cluster keep their names on all clusters, except for
// the names that OnMember changes.
package identity

import "strings"

const (
	// UserPrefix precedes the name of a KubeVisionUser in the impersonated user name.
	UserPrefix = "kubevision:"
	// UsersGroup is the impersonated group of all KubeVisionUsers.
	UsersGroup = "kubevision:users"
	// GroupPrefix precedes the name of a group of KubeVisionUsers in the impersonated group name.
	GroupPrefix = "kubevision:group:"
	// GroupMember is the impersonated name of users of whom only a Kubernetes group is the subject of a
	// KubeVisionRoleBinding. To impersonate their own names, KubeVision would need the right to impersonate any user.
	// No KubeVisionUser has this name, because of the two colons.
	GroupMember = "kubevision::group-member"
	// HostPrefix is put before a user or group name of the host cluster with the prefix "system:" when the name is
	// impersonated on a member cluster.
	HostPrefix = "kubevision:host:"

	// systemPrefix is the prefix of the names of ServiceAccounts, nodes and components of Kubernetes.
	systemPrefix = "system:"
)

// OnMember returns the name with which a user or group of the host cluster is impersonated on a member cluster. It
// renames names that begin with system:, because they belong to other users on each cluster, to whom the member cluster
// may grant rights.
func OnMember(name string) string {
	if strings.HasPrefix(name, systemPrefix) {
		return HostPrefix + name
	}
	return name
}

// UserName returns the impersonated name of a KubeVisionUser.
func UserName(name string) string { return UserPrefix + name }

// GroupName returns the impersonated name of a group of KubeVisionUsers.
func GroupName(name string) string { return GroupPrefix + name }

// Groups returns the impersonated groups of a KubeVisionUser with the given groups. It omits system:authenticated,
// which Kubernetes adds itself.
func Groups(groups []string) []string {
	out := make([]string, 0, len(groups)+1)
	out = append(out, UsersGroup)
	for _, g := range groups {
		out = append(out, GroupName(g))
	}
	return out
}
