// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SearchResults are the objects that a search has found.
type SearchResults struct {
	// results are by kind, in the order in which the kinds were asked for.
	// +listType=atomic
	Results []SearchGroup `json:"results"`
	// total is the number of objects found, of all kinds.
	Total int64 `json:"total"`
	// clusters are those that were searched, where there may be several.
	// +optional
	// +listType=map
	// +listMapKey=id
	Clusters []SearchedCluster `json:"clusters,omitempty"`
}

// SearchGroup are the objects of one kind that were found.
type SearchGroup struct {
	// resource_type is the plural name of the kind.
	ResourceType string `json:"resource_type"`
	// items are the best matches.
	// +listType=atomic
	Items []SearchItem `json:"items"`
	// total is the number of matches, which may be more than the items.
	Total int64 `json:"total"`
}

// SearchItem is an object that was found.
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
	// cluster is the name of the cluster, where several were searched.
	// +optional
	Cluster string `json:"cluster,omitempty"`
}

// SearchedCluster says whether a cluster was searched.
type SearchedCluster struct {
	// id is the cluster's name.
	ID string `json:"id"`
	// name is the cluster's name.
	Name string `json:"name"`
	// status is reachable or unreachable.
	Status string `json:"status"`
	// total is the number of objects found there.
	Total int64 `json:"total"`
	// partial says that there are kinds or namespaces that the caller may not
	// read.
	// +optional
	Partial bool `json:"partial,omitempty"`
}

// SearchEnvelope is the answer to a search.
type SearchEnvelope struct {
	Header `json:",inline"`
	// data are the objects found.
	// +optional
	Data *SearchResults `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
