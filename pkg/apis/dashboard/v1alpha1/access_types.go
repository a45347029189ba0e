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

// Access contains the clusters that the caller may use. For each cluster, it contains the roles of the caller and the
// namespaces that the caller may read.
type Access struct {
	// clusters contains the clusters that the caller may use, sorted by name.
	// +listType=atomic
	Clusters []ClusterAccess `json:"clusters"`
}

// ClusterAccess contains the roles of the caller on one cluster, and the namespaces that the caller may read there.
type ClusterAccess struct {
	// id is the cluster's name.
	ID string `json:"id"`
	// name is the cluster's name.
	Name string `json:"name"`
	// status is reachable or unreachable. The namespaces of an unreachable cluster are unknown.
	Status string `json:"status"`
	// roles are the roles that bindings grant the caller on the cluster. They are for display only.
	// +listType=atomic
	Roles []string `json:"roles"`
	// allNamespaces is true if the caller may list all namespaces of the cluster.
	AllNamespaces bool `json:"allNamespaces"`
	// namespaces contains the names of the namespaces that the caller may read, in alphabetical order.
	// +listType=atomic
	Namespaces []string `json:"namespaces"`
}

// AccessEnvelope is the response to GET /users/me/access.
type AccessEnvelope struct {
	Header `json:",inline"`
	// data contains the clusters and namespaces that the caller may access.
	// +optional
	Data *Access `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
