// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ObjectReference identifies an object of a cluster.
type ObjectReference struct {
	// cluster is the name of the cluster.
	Cluster string `json:"cluster"`
	// namespace is the object's namespace.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// resource is the plural of the kind, with its group if it is ambiguous.
	Resource string `json:"resource"`
	// name is the object's name.
	Name string `json:"name"`
}

// CompareRequest names two objects that are compared, as source and target or as left and right.
type CompareRequest struct {
	// source is the first object of the comparison.
	// +optional
	Source *ObjectReference `json:"source,omitempty"`
	// target is the second object of the comparison.
	// +optional
	Target *ObjectReference `json:"target,omitempty"`
	// left is the first object of the comparison. It is an alias of source.
	// +optional
	Left *ObjectReference `json:"left,omitempty"`
	// right is the second object of the comparison. It is an alias of target.
	// +optional
	Right *ObjectReference `json:"right,omitempty"`
}

// Comparison contains two objects as YAML, without the metadata that differ between any two objects.
type Comparison struct {
	// sourceYaml is the first of the two compared objects, as YAML.
	SourceYaml string `json:"sourceYaml"`
	// targetYaml is the second of the two compared objects, as YAML.
	TargetYaml string `json:"targetYaml"`
	// sourceRef identifies the object of sourceYaml: the cluster, the namespace if there is one, the resource and the
	// name, joined by slashes.
	SourceRef string `json:"sourceRef"`
	// targetRef identifies the object of targetYaml: the cluster, the namespace if there is one, the resource and the
	// name, joined by slashes.
	TargetRef string `json:"targetRef"`
	// source identifies the object of sourceYaml.
	Source ObjectReference `json:"source"`
	// target identifies the object of targetYaml.
	Target ObjectReference `json:"target"`
	// leftYaml has the same value as sourceYaml.
	LeftYaml string `json:"leftYaml"`
	// rightYaml has the same value as targetYaml.
	RightYaml string `json:"rightYaml"`
	// leftRef has the same value as sourceRef.
	LeftRef string `json:"leftRef"`
	// rightRef has the same value as targetRef.
	RightRef string `json:"rightRef"`
	// left has the same value as source.
	Left ObjectReference `json:"left"`
	// right has the same value as target.
	Right ObjectReference `json:"right"`
}

// CompareEnvelope is the response to POST /compare.
type CompareEnvelope struct {
	Header `json:",inline"`
	// data contains the two objects.
	// +optional
	Data *Comparison `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
