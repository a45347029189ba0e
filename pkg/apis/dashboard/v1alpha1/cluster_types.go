// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of Cluster.Status.
const (
	// ClusterHealthy is the status of a cluster that is Ready.
	ClusterHealthy = "healthy"
	// ClusterUnhealthy is the status of a cluster that is not Ready.
	ClusterUnhealthy = "unhealthy"
	// ClusterPending is the status of a cluster that has not been probed yet.
	ClusterPending = "pending"
)

// Cluster is a registered cluster that the caller may use.
type Cluster struct {
	// id is the cluster's name.
	ID string `json:"id"`
	// name is the cluster's name.
	Name string `json:"name"`
	// displayName is the name that dashboards show for the cluster. The default is the name of the KubeVisionCluster.
	DisplayName string `json:"displayName"`
	// status is healthy, unhealthy or pending.
	Status string `json:"status"`
	// version is the version of the cluster's API server.
	Version string `json:"version"`
	// apiServer is the URL of the cluster's API server.
	APIServer string `json:"apiServer"`
	// createdAt is the time of the registration.
	CreatedAt           metav1.Time `json:"createdAt"`
	ClusterOperatorView `json:",inline"`
}

// ClusterOperatorView contains the fields that are returned only to callers who may read KubeVisionClusters.
type ClusterOperatorView struct {
	// authType is the kind of the connection: kubeconfig or in-cluster.
	// +optional
	AuthType string `json:"authType,omitempty"`
	// nodes contains the number of all nodes of the cluster, and the number of ready nodes.
	// +optional
	Nodes *ClusterNodes `json:"nodes,omitempty"`
	// labels are the labels that the selectors of role bindings match.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// resourceVersion is the resourceVersion of the KubeVisionCluster.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// conditions are the conditions of the cluster.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterNodes contains the number of all nodes of a cluster, and the number of ready nodes.
type ClusterNodes struct {
	// total is the number of nodes.
	Total int32 `json:"total"`
	// ready is the number of nodes that are ready.
	Ready int32 `json:"ready"`
}

// Values of AuthType.
const (
	// AuthTypeKubeconfig is the type of a connection with a kubeconfig.
	AuthTypeKubeconfig = "kubeconfig"
	// AuthTypeInCluster is the type of the connection to the cluster in which KubeVision runs.
	AuthTypeInCluster = "in-cluster"
)

// CreateClusterRequest is the body of POST /clusters.
type CreateClusterRequest struct {
	// name is the name of the cluster, which is also its id.
	Name string `json:"name"`
	// displayName is the name that dashboards show for the cluster. The default is the name of the KubeVisionCluster.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// authType is the kind of the connection: kubeconfig or in-cluster.
	AuthType string `json:"authType"`
	// kubeconfig is the kubeconfig for the cluster. It may contain inline certificates, keys and tokens, but no file
	// paths and no plugins. No response contains the kubeconfig.
	// +optional
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// labels are the labels that the selectors of role bindings match.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// UpdateClusterRequest is the body of PUT /clusters/{cluster}. Missing fields keep their values.
type UpdateClusterRequest struct {
	// displayName is the new name that dashboards show for the cluster. An empty string restores the default, which is
	// the name of the KubeVisionCluster.
	// +optional
	DisplayName *string `json:"displayName,omitempty"`
	// labels replaces all labels of the cluster. An empty object removes all labels. If the field is absent, the labels
	// do not change.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// kubeconfig replaces the current kubeconfig. If the field is absent, the kubeconfig does not change.
	// +optional
	Kubeconfig *string `json:"kubeconfig,omitempty"`
	// resourceVersion is the expected resourceVersion of the KubeVisionCluster. If it is set and differs, the request
	// fails.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// ClusterTest is the result of a test of the connection to a cluster. A boolean field is also false if the test could
// not determine its value.
type ClusterTest struct {
	// reachable is true if an API server responds.
	Reachable bool `json:"reachable"`
	// credentialsValid is true if the API server accepts the registered credentials.
	CredentialsValid bool `json:"credentialsValid"`
	// impersonationReady is true if KubeVision can send requests as users.
	ImpersonationReady bool `json:"impersonationReady"`
	// version is the version of the API server.
	// +optional
	Version string `json:"version,omitempty"`
	// message describes why the cluster cannot be used, and how to solve the problem. It is absent if the test has
	// found no problem.
	// +optional
	Message string `json:"message,omitempty"`
}

// ClusterTestEnvelope is the response to POST /clusters/{cluster}/test.
type ClusterTestEnvelope struct {
	Header `json:",inline"`
	// data is the result of the test.
	// +optional
	Data *ClusterTest `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// ClusterEnvelope is the response to requests for one cluster.
type ClusterEnvelope struct {
	Header `json:",inline"`
	// data is the cluster.
	// +optional
	Data *Cluster `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// ClusterListEnvelope is the response to GET /clusters.
type ClusterListEnvelope struct {
	Header `json:",inline"`
	// data contains the clusters that the caller may use, sorted by name. It contains all clusters if the caller may
	// list KubeVisionClusters.
	// +optional
	// +listType=atomic
	Data []Cluster `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
