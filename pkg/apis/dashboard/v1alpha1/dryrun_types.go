// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Manifest is an object, as a body: as JSON, as YAML, or with
// {"manifest": ...} around it.
type Manifest struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// metadata has the name of the object, and its namespace unless the URL
	// says it.
	Metadata metav1.ObjectMeta `json:"metadata"`
}

// DryRun is what a change would do. Nothing was written.
type DryRun struct {
	// current is the object as it is; null where there is none, or the
	// caller may not get it.
	// +optional
	Current *DryRunObject `json:"current"`
	// proposed is the object as it would be; null where it was refused.
	// +optional
	Proposed *DryRunObject `json:"proposed"`
	// valid says that the API server would accept it.
	Valid bool `json:"valid"`
	// errors are the API server's reasons to refuse it.
	// +listType=atomic
	Errors []string `json:"errors"`
	// warnings are what the API server warned of.
	// +listType=atomic
	Warnings []string `json:"warnings"`
	// diff is what would change; null where there is nothing to compare.
	// +optional
	Diff *Diff `json:"diff"`
}

// DryRunObject is an object beside which its names stand.
type DryRunObject struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// name is the name of the object.
	Name string `json:"name"`
	// namespace is the namespace of the object.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// raw is the object as Kubernetes writes it, without managedFields.
	Raw runtime.RawExtension `json:"raw"`
}

// Diff is what differs between two versions of an object. What Kubernetes
// keeps for itself, such as resourceVersion, is left out.
type Diff struct {
	// unified is the difference of both as YAML, in unified format; empty
	// where there is none.
	Unified string `json:"unified"`
	// paths are the fields that differ: .spec.replicas
	// +listType=atomic
	Paths []string `json:"paths"`
}

// DryRunEnvelope is what a change would do.
type DryRunEnvelope struct {
	Header `json:",inline"`
	// data is what the change would do.
	// +optional
	Data *DryRun `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
