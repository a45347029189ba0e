// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ApplyOperation is the operation that was performed on an object.
// +enum
type ApplyOperation string

// Values of ApplyOperation. The result of a dry run contains the expected operation.
const (
	// ApplyCreated means that the object was created.
	ApplyCreated ApplyOperation = "created"
	// ApplyConfigured means that the object was changed.
	ApplyConfigured ApplyOperation = "configured"
	// ApplyUnchanged means that the object already equals the manifest.
	ApplyUnchanged ApplyOperation = "unchanged"
	// ApplyDeferred means that a dry run cannot test the object, because the same request creates the namespace
	// or the kind of the object.
	ApplyDeferred ApplyOperation = "deferred"
	// ApplySkipped means that the object was not applied, because another object has failed or the request has ended.
	ApplySkipped ApplyOperation = "skipped"
	// ApplyFailed means that the object was rejected.
	ApplyFailed ApplyOperation = "failed"
)

// ApplyResult is the result of applying one object.
type ApplyResult struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// name is the name of the object.
	Name string `json:"name"`
	// namespace is the namespace of the object. It is empty for cluster-scoped kinds.
	Namespace string `json:"namespace"`
	// operation is the operation that was performed.
	Operation ApplyOperation `json:"operation"`
	// paths are the changed fields.
	// +listType=atomic
	Paths        []string `json:"paths"`
	BatchOutcome `json:",inline"`
}

// Apply is the result of applying several objects.
type Apply struct {
	// dryRun is true if the request was a dry run, which writes nothing.
	DryRun bool `json:"dryRun"`
	// applied is the number of objects that were created, changed, or already up to date. A dry run writes nothing and
	// returns the expected number.
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
