// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Values of TopologyEdge.Relation.
const (
	// RelationOwns is the relation between an owner and a dependent object. The dependent object has an owner reference
	// to the owner.
	RelationOwns = "owns"
	// RelationSelects is the relation of a Service to the Pods that it selects, and of an Ingress to its backend
	// Services.
	RelationSelects = "selects"
)

// Topology is a graph of the objects in a namespace and their relations. It contains only objects that the caller may
// list.
type Topology struct {
	// nodes contains one node of the graph for each object, such as a Pod or a Service.
	// +listType=map
	// +listMapKey=id
	Nodes []TopologyNode `json:"nodes"`
	// edges contains one edge of the graph for each relation between two objects.
	// +listType=atomic
	Edges []TopologyEdge `json:"edges"`
}

// TopologyNode is an object of a topology.
type TopologyNode struct {
	// id is the plural name of the resource, a slash and the name of the object, for example pods/web.
	ID string `json:"id"`
	// kind is the plural name of the resource, for example pods. It is not the Kubernetes kind, such as Pod.
	Kind string `json:"kind"`
	// name is the object's name.
	Name string `json:"name"`
	// namespace is the object's namespace.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// status is the phase of a Pod, or the number of ready Pods of a workload.
	// +optional
	Status string `json:"status,omitempty"`
	// labels are the object's labels.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// TopologyEdge is a relation between two objects.
type TopologyEdge struct {
	// source is the id of the object that owns or selects the target.
	Source string `json:"source"`
	// target is the id of the object that the source owns or selects.
	Target string `json:"target"`
	// relation is "owns" or "selects".
	Relation string `json:"relation"`
}

// TopologyEnvelope is the response to GET /clusters/{cluster}/namespaces/{namespace}/topology.
type TopologyEnvelope struct {
	Header `json:",inline"`
	// data contains the objects and their relations.
	// +optional
	Data *Topology `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
