// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Values of ClusterAccess.Status.
const (
	// AccessReachable is the status of a cluster that has responded.
	AccessReachable = "reachable"
	// AccessUnreachable is the status of a cluster that is not connected, or that has not responded in time.
	AccessUnreachable = "unreachable"
)

// Access is what the caller may reach.
type Access struct {
	// clusters are those that the caller may use, by name.
	// +listType=atomic
	Clusters []ClusterAccess `json:"clusters"`
}

// ClusterAccess is what the caller may reach on one cluster.
type ClusterAccess struct {
	// id is the cluster's name.
	ID string `json:"id"`
	// name is the cluster's name.
	Name string `json:"name"`
	// status is reachable or unreachable. Of a cluster that is unreachable, the
	// namespaces are not known.
	Status string `json:"status"`
	// roles are those that bindings give the caller there, for showing only.
	// +listType=atomic
	Roles []string `json:"roles"`
	// allNamespaces says that the caller may list the namespaces of the cluster,
	// all of which follow.
	AllNamespaces bool `json:"allNamespaces"`
	// namespaces are those that the caller may read, by name.
	// +listType=atomic
	Namespaces []string `json:"namespaces"`
}

// AccessEnvelope is the answer to GET /users/me/access.
type AccessEnvelope struct {
	Header `json:",inline"`
	// data is what the caller may reach.
	// +optional
	Data *Access `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
