// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity defines the user and group names that KubeVision impersonates. For a request of the KubeVisionUser
// alice in the group g, KubeVision impersonates the user kubevision:alice with the groups kubevision:users and
// kubevision:group:g.
//
// The host cluster is the cluster on which KubeVision runs. If a binding names a user of the host cluster, KubeVision
// impersonates this user name. On other clusters, KubeVision changes the name if it begins with "system:" (see
// OnMember).
//
// Some users of the host cluster have access only through a Kubernetes group: a binding names the group, but no binding
// names the user. For a request of such a user, KubeVision impersonates the user kubevision::group-member (GroupMember)
// with the group, on all clusters.
package identity

import "strings"

const (
	// UserPrefix is the prefix of the user names that KubeVision impersonates for KubeVisionUsers. The name of the
	// KubeVisionUser follows the prefix.
	UserPrefix = "kubevision:"
	// UsersGroup is the impersonated group of all KubeVisionUsers.
	UsersGroup = "kubevision:users"
	// GroupPrefix is the prefix of the group names that KubeVision impersonates for KubeVisionUsers. A name in
	// spec.groups of the KubeVisionUser follows the prefix.
	GroupPrefix = "kubevision:group:"
	// GroupMember is the user name that KubeVision impersonates for all users of the host cluster who have access only
	// through a Kubernetes group. KubeVision does not know these users in advance. To impersonate them by their own
	// names, it would need the right to impersonate any user. The two colons distinguish GroupMember from the names of
	// KubeVisionUsers.
	GroupMember = "kubevision::group-member"
	// HostPrefix is the prefix of names on member clusters. KubeVision adds it to the names of users and groups of the
	// host cluster that begin with "system:" (see OnMember).
	HostPrefix = "kubevision:host:"

	// systemPrefix is the prefix of the names of ServiceAccounts, nodes and components of Kubernetes.
	systemPrefix = "system:"
)

// OnMember returns the name with which a user or group of the host cluster is impersonated on a member cluster. It puts
// HostPrefix before names that begin with "system:". Without the prefix, the name would belong to a different user or
// group of the member cluster, which may have rights there.
func OnMember(name string) string {
	if strings.HasPrefix(name, systemPrefix) {
		return HostPrefix + name
	}
	return name
}

// UserName returns the user name that KubeVision impersonates for a KubeVisionUser.
func UserName(name string) string { return UserPrefix + name }

// GroupName returns the group name that KubeVision impersonates for a group of KubeVisionUsers.
func GroupName(name string) string { return GroupPrefix + name }

// Groups returns the groups that KubeVision impersonates for a KubeVisionUser with the given KubeVision groups. It
// omits system:authenticated, which kube-apiserver adds to all impersonated users.
func Groups(groups []string) []string {
	out := make([]string, 0, len(groups)+1)
	out = append(out, UsersGroup)
	for _, g := range groups {
		out = append(out, GroupName(g))
	}
	return out
}
