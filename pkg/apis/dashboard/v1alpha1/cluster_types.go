// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// The states of a cluster, as dashboards know them.
const (
	// ClusterHealthy is a cluster that is ready.
	ClusterHealthy = "healthy"
	// ClusterUnhealthy is a cluster that is not.
	ClusterUnhealthy = "unhealthy"
	// ClusterPending is a cluster that has not been probed yet.
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
	CreatedAt metav1.Time `json:"createdAt"`
	// conditions of the cluster, for those who may list KubeVisionClusters.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
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
