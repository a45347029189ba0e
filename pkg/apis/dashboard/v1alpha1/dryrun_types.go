// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Manifest is a Kubernetes object in the body of a request, as JSON or YAML. The body may also be {"manifest": object}.
type Manifest struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// metadata contains the name of the object, and its namespace unless the URL contains it.
	Metadata metav1.ObjectMeta `json:"metadata"`
}

// DryRun is the result of a dry run. Nothing was written.
type DryRun struct {
	// current is the stored object. It is null if the object does not exist, or if the caller may not get it.
	// +optional
	Current *DryRunObject `json:"current"`
	// proposed is the object after the change. It is null if the change was rejected.
	// +optional
	Proposed *DryRunObject `json:"proposed"`
	// valid is true if the API server would accept the change.
	Valid bool `json:"valid"`
	// errors are the API server's reasons for a rejection.
	// +listType=atomic
	Errors []string `json:"errors"`
	// warnings are the warnings of the API server.
	// +listType=atomic
	Warnings []string `json:"warnings"`
	// diff is the difference between current and proposed. It is null if one of them is null.
	// +optional
	Diff *Diff `json:"diff"`
}

// DryRunObject is the state of an object before or after a change that was tested in a dry run. The field raw contains
// the whole object.
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
	// raw is the object in Kubernetes' format, without managedFields.
	Raw runtime.RawExtension `json:"raw"`
}

// Diff is the difference between two versions of an object. It omits the metadata that Kubernetes maintains, such as
// resourceVersion.
type Diff struct {
	// unified is the difference between the two versions as YAML, in unified format. It is empty if there is none.
	Unified string `json:"unified"`
	// paths are the fields that differ, for example .spec.replicas.
	// +listType=atomic
	Paths []string `json:"paths"`
}

// DryRunEnvelope is the response to a dry run.
type DryRunEnvelope struct {
	Header `json:",inline"`
	// data is the result of the dry run.
	// +optional
	Data *DryRun `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
