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
	// resource is the plural name of the kind, for example deployments. If several API groups serve this name, the
	// group follows, for example events.events.k8s.io.
	Resource string `json:"resource"`
	// name is the object's name.
	Name string `json:"name"`
}

// CompareRequest identifies the two objects of a comparison in the fields source and target. Clients may use the
// aliases left and right instead.
type CompareRequest struct {
	// source is the first object of the comparison. Exactly one of the fields source and left must be set.
	// +optional
	Source *ObjectReference `json:"source,omitempty"`
	// target is the second object of the comparison. Exactly one of the fields target and right must be set.
	// +optional
	Target *ObjectReference `json:"target,omitempty"`
	// left is the object on the left side of the comparison. The field is an alias of source. Exactly one of the fields
	// source and left must be set.
	// +optional
	Left *ObjectReference `json:"left,omitempty"`
	// right is the object on the right side of the comparison. The field is an alias of target. Exactly one of the
	// fields target and right must be set.
	// +optional
	Right *ObjectReference `json:"right,omitempty"`
}

// Comparison contains two objects as YAML, so that clients can show the differences. The YAML omits metadata that only
// kube-apiserver sets, for example uid.
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
	// leftYaml is the first of the two compared objects, as YAML. The field is a copy of sourceYaml, for dashboards
	// that call the two objects left and right.
	LeftYaml string `json:"leftYaml"`
	// rightYaml is the second of the two compared objects, as YAML. The field is a copy of targetYaml, for dashboards
	// that call the two objects left and right.
	RightYaml string `json:"rightYaml"`
	// leftRef identifies the first of the two compared objects, as text. The field is a copy of sourceRef, for
	// dashboards that call the two objects left and right.
	LeftRef string `json:"leftRef"`
	// rightRef identifies the second of the two compared objects, as text. The field is a copy of targetRef, for
	// dashboards that call the two objects left and right.
	RightRef string `json:"rightRef"`
	// left identifies the first of the two compared objects. The field is a copy of source, for dashboards that call
	// the two objects left and right.
	Left ObjectReference `json:"left"`
	// right identifies the second of the two compared objects. The field is a copy of target, for dashboards that call
	// the two objects left and right.
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
