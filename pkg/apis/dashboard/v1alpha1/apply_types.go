// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ApplyOperation is what was done with an object.
// +enum
type ApplyOperation string

// The operations. In a dry run they are what would be done.
const (
	// ApplyCreated is an object that was not there.
	ApplyCreated ApplyOperation = "created"
	// ApplyConfigured is an object that was changed.
	ApplyConfigured ApplyOperation = "configured"
	// ApplyUnchanged is an object that is as the manifest says.
	ApplyUnchanged ApplyOperation = "unchanged"
	// ApplyDeferred is an object that a dry run cannot try: its namespace or its kind is in the same request, and not
	// in the cluster yet.
	ApplyDeferred ApplyOperation = "deferred"
	// ApplySkipped is an object that was not applied because of others.
	ApplySkipped ApplyOperation = "skipped"
	// ApplyFailed is an object that was refused.
	ApplyFailed ApplyOperation = "failed"
)

// ApplyResult is what became of one object.
type ApplyResult struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// name of the object.
	Name string `json:"name"`
	// namespace of the object; empty for what is in none.
	Namespace string `json:"namespace"`
	// operation is what was done.
	Operation ApplyOperation `json:"operation"`
	// paths are the fields that differ from what was there before.
	// +listType=atomic
	Paths        []string `json:"paths"`
	BatchOutcome `json:",inline"`
}

// Apply is what became of several objects.
type Apply struct {
	// dryRun is true if nothing was written.
	DryRun bool `json:"dryRun"`
	// applied is the number of objects that are now as their manifests say, or in a dry run would be.
	Applied int32 `json:"applied"`
	// failed is the number of objects that were refused.
	Failed int32 `json:"failed"`
	// results has one result per object, in the order of the request.
	// +listType=atomic
	Results []ApplyResult `json:"results"`
}

// ApplyEnvelope is the answer to POST .../apply.
type ApplyEnvelope struct {
	Header `json:",inline"`
	// data is what became of the objects.
	// +optional
	Data *Apply `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
