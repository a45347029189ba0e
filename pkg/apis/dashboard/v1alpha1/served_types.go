// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// APIResource is a kind of objects that a cluster serves.
type APIResource struct {
	// name is the plural name of the kind.
	Name string `json:"name"`
	// group is the kind's group, empty for the core group.
	Group string `json:"group"`
	// version is the version of the group.
	Version string `json:"version"`
	// apiVersion is group and version, as objects have it.
	APIVersion string `json:"apiVersion"`
	// kind is the name of the kind.
	Kind string `json:"kind"`
	// namespaced says whether the objects are in namespaces.
	Namespaced bool `json:"namespaced"`
	// verbs are what the cluster offers.
	// +listType=atomic
	Verbs []string `json:"verbs"`
	// shortNames are other names that kubectl takes.
	// +optional
	// +listType=atomic
	ShortNames []string `json:"shortNames,omitempty"`
	// categories are names of groups of kinds, such as all.
	// +optional
	// +listType=atomic
	Categories []string `json:"categories,omitempty"`
	// subresources are what is served below an object, such as scale.
	// +optional
	// +listType=atomic
	Subresources []string `json:"subresources,omitempty"`
}

// APIResourceListEnvelope is the answer to GET
// /clusters/{cluster}/api-resources.
type APIResourceListEnvelope struct {
	Header `json:",inline"`
	// data are the kinds, in the order in which the cluster prefers them.
	// +optional
	// +listType=atomic
	Data []APIResource `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// CustomResource is a kind that a CustomResourceDefinition defines.
type CustomResource struct {
	// name is the name of the CustomResourceDefinition.
	Name string `json:"name"`
	// group is the kind's group.
	Group string `json:"group"`
	// version is the version that the cluster prefers.
	Version string `json:"version"`
	// kind is the name of the kind.
	Kind string `json:"kind"`
	// plural is the plural name of the kind.
	Plural string `json:"plural"`
	// namespaced says whether the objects are in namespaces.
	Namespaced bool `json:"namespaced"`
	// categories are names of groups of kinds, such as all.
	// +optional
	// +listType=atomic
	Categories []string `json:"categories,omitempty"`
}

// CustomResourceListEnvelope is the answer to GET
// /clusters/{cluster}/crds.
type CustomResourceListEnvelope struct {
	Header `json:",inline"`
	// data are the kinds that CustomResourceDefinitions define.
	// +optional
	// +listType=atomic
	Data []CustomResource `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
