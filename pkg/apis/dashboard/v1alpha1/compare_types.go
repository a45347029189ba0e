// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ObjectReference says which object of which cluster.
type ObjectReference struct {
	// cluster is the name of the cluster.
	Cluster string `json:"cluster"`
	// namespace is the object's namespace.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// resource is the plural of the kind, with its group where that is needed.
	Resource string `json:"resource"`
	// name is the object's name.
	Name string `json:"name"`
}

// CompareRequest names two objects, as source and target or as left and right.
type CompareRequest struct {
	// source is one object.
	// +optional
	Source *ObjectReference `json:"source,omitempty"`
	// target is the other object.
	// +optional
	Target *ObjectReference `json:"target,omitempty"`
	// left is another name of source.
	// +optional
	Left *ObjectReference `json:"left,omitempty"`
	// right is another name of target.
	// +optional
	Right *ObjectReference `json:"right,omitempty"`
}

// Comparison are two objects as YAML, without what is different of any two
// objects and says nothing.
type Comparison struct {
	// sourceYaml is one object.
	SourceYaml string `json:"sourceYaml"`
	// targetYaml is the other object.
	TargetYaml string `json:"targetYaml"`
	// sourceRef says in one word which object sourceYaml is: the cluster, the
	// namespace if there is one, the resource and the name, joined by slashes.
	SourceRef string `json:"sourceRef"`
	// targetRef says in one word which object targetYaml is.
	TargetRef string `json:"targetRef"`
	// source says which object sourceYaml is.
	Source ObjectReference `json:"source"`
	// target says which object targetYaml is.
	Target ObjectReference `json:"target"`
	// leftYaml is sourceYaml.
	LeftYaml string `json:"leftYaml"`
	// rightYaml is targetYaml.
	RightYaml string `json:"rightYaml"`
	// leftRef is sourceRef.
	LeftRef string `json:"leftRef"`
	// rightRef is targetRef.
	RightRef string `json:"rightRef"`
	// left is source.
	Left ObjectReference `json:"left"`
	// right is target.
	Right ObjectReference `json:"right"`
}

// CompareEnvelope is the answer to POST /compare.
type CompareEnvelope struct {
	Header `json:",inline"`
	// data are the two objects.
	// +optional
	Data *Comparison `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
