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
	// displayName is the name to show.
	DisplayName string `json:"displayName"`
	// status is healthy, unhealthy or pending.
	Status string `json:"status"`
	// version of the cluster's API server.
	Version string `json:"version"`
	// apiServer is the URL of the cluster's API server.
	APIServer string `json:"apiServer"`
	// createdAt is when the cluster was registered.
	CreatedAt           metav1.Time `json:"createdAt"`
	ClusterOperatorView `json:",inline"`
}

// ClusterOperatorView is what only those see of a cluster who may read
// KubeVisionClusters.
type ClusterOperatorView struct {
	// authType says how the cluster is reached: kubeconfig or in-cluster.
	// +optional
	AuthType string `json:"authType,omitempty"`
	// nodes counts the cluster's nodes.
	// +optional
	Nodes *ClusterNodes `json:"nodes,omitempty"`
	// labels are what the selectors of role bindings match.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// resourceVersion is the version of the registration.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// conditions of the cluster.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterNodes counts nodes.
type ClusterNodes struct {
	// total is the number of nodes.
	Total int32 `json:"total"`
	// ready is the number of nodes that are ready.
	Ready int32 `json:"ready"`
}

// Values of the field authType.
const (
	// AuthTypeKubeconfig is a connection with a kubeconfig.
	AuthTypeKubeconfig = "kubeconfig"
	// AuthTypeInCluster is the connection to the cluster in which KubeVision runs.
	AuthTypeInCluster = "in-cluster"
)

// CreateClusterRequest is the body of POST /clusters.
type CreateClusterRequest struct {
	// name of the cluster, its id from then on.
	Name string `json:"name"`
	// displayName is the name to show. Defaults to the name.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// authType says how the cluster is reached: kubeconfig or in-cluster.
	AuthType string `json:"authType"`
	// kubeconfig for the cluster, with inline certificate data or a token and
	// nothing else. No answer ever holds it.
	// +optional
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// labels are what the selectors of role bindings match.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// UpdateClusterRequest is the body of PUT /clusters/{cluster}. What is not
// given stays as it is.
type UpdateClusterRequest struct {
	// displayName is the name to show.
	// +optional
	DisplayName *string `json:"displayName,omitempty"`
	// labels replace all labels of the cluster.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// kubeconfig replaces the one that the cluster is reached with.
	// +optional
	Kubeconfig *string `json:"kubeconfig,omitempty"`
	// resourceVersion must be that of the registration, where it is given.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// ClusterTest is what a look at a cluster found. What was not found out is
// false.
type ClusterTest struct {
	// reachable says that an API server answers.
	Reachable bool `json:"reachable"`
	// credentialsValid says that it accepts the registered credentials.
	CredentialsValid bool `json:"credentialsValid"`
	// impersonationReady says that requests of users can be made there.
	ImpersonationReady bool `json:"impersonationReady"`
	// version of the API server.
	// +optional
	Version string `json:"version,omitempty"`
	// message says what to do where something is not as it should be.
	// +optional
	Message string `json:"message,omitempty"`
}

// ClusterTestEnvelope is the answer to POST /clusters/{cluster}/test.
type ClusterTestEnvelope struct {
	Header `json:",inline"`
	// data are the findings.
	// +optional
	Data *ClusterTest `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// ClusterEnvelope is the answer to what is about one cluster.
type ClusterEnvelope struct {
	Header `json:",inline"`
	// data is the cluster.
	// +optional
	Data *Cluster `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// ClusterListEnvelope is the answer to GET /clusters.
type ClusterListEnvelope struct {
	Header `json:",inline"`
	// data are the clusters that the caller may use, by name.
	// +optional
	// +listType=atomic
	Data []Cluster `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
