// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ApplyOperation is the operation that was performed on an object.
// +enum
type ApplyOperation string

// The operations. In a dry run they are not performed.
const (
	// ApplyCreated is the creation of an object.
	ApplyCreated ApplyOperation = "created"
	// ApplyConfigured is a change of an object.
	ApplyConfigured ApplyOperation = "configured"
	// ApplyUnchanged is no change: the object equals the manifest.
	ApplyUnchanged ApplyOperation = "unchanged"
	// ApplyDeferred is an object that a dry run cannot test: its namespace or its kind is in the same request, and
	// not in the cluster yet.
	ApplyDeferred ApplyOperation = "deferred"
	// ApplySkipped is an object that was not applied because of other objects.
	ApplySkipped ApplyOperation = "skipped"
	// ApplyFailed is an object that was rejected.
	ApplyFailed ApplyOperation = "failed"
)

// ApplyResult is the result for one object.
type ApplyResult struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// name of the object.
	Name string `json:"name"`
	// namespace of the object; empty for cluster-scoped kinds.
	Namespace string `json:"namespace"`
	// operation is the operation that was performed.
	Operation ApplyOperation `json:"operation"`
	// paths are the changed fields.
	// +listType=atomic
	Paths        []string `json:"paths"`
	BatchOutcome `json:",inline"`
}

// Apply is the result for several objects.
type Apply struct {
	// dryRun is true if nothing was written.
	DryRun bool `json:"dryRun"`
	// applied is the number of objects that equal their manifests now, or would do so without the dry run.
	Applied int32 `json:"applied"`
	// failed is the number of rejected objects.
	Failed int32 `json:"failed"`
	// results contains one result for each object, in the order of the request.
	// +listType=atomic
	Results []ApplyResult `json:"results"`
}

// ApplyEnvelope is the response to POST .../apply.
type ApplyEnvelope struct {
	Header `json:",inline"`
	// data contains the results.
	// +optional
	Data *Apply `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
