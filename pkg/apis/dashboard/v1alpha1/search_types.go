// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SearchResults contains the matches of a search.
type SearchResults struct {
	// results contains the matches of each kind, in the order of the requested kinds.
	// +listType=atomic
	Results []SearchGroup `json:"results"`
	// total is the number of matches of all kinds.
	Total int64 `json:"total"`
	// clusters are the searched clusters. It is set if a search covers several clusters.
	// +optional
	// +listType=map
	// +listMapKey=id
	Clusters []SearchedCluster `json:"clusters,omitempty"`
}

// SearchGroup contains the matches of one kind.
type SearchGroup struct {
	// resource_type is the plural name of the kind.
	ResourceType string `json:"resource_type"`
	// items are the best matches.
	// +listType=atomic
	Items []SearchItem `json:"items"`
	// total is the number of matches, which may exceed the number of items.
	Total int64 `json:"total"`
}

// SearchItem is a matching object.
type SearchItem struct {
	// name is the object's name.
	Name string `json:"name"`
	// namespace is the object's namespace.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// kind is the object's kind.
	Kind string `json:"kind"`
	// resourceType is the plural name of the kind.
	ResourceType string `json:"resourceType"`
	// apiVersion is the object's group and version.
	APIVersion string `json:"apiVersion"`
	// labels are the object's labels.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// cluster is the name of the cluster. It is set if a search covers several clusters.
	// +optional
	Cluster string `json:"cluster,omitempty"`
}

// SearchedCluster is the state of the search on one cluster.
type SearchedCluster struct {
	// id is the cluster's name.
	ID string `json:"id"`
	// name is the cluster's name.
	Name string `json:"name"`
	// status is reachable or unreachable.
	Status string `json:"status"`
	// total is the number of matches on the cluster.
	Total int64 `json:"total"`
	// partial is true if the caller may not read some kinds or namespaces.
	// +optional
	Partial bool `json:"partial,omitempty"`
}

// SearchEnvelope is the response to a search.
type SearchEnvelope struct {
	Header `json:",inline"`
	// data contains the matches.
	// +optional
	Data *SearchResults `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
