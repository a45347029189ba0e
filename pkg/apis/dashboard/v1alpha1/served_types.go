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
	// apiVersion is the value of the field apiVersion in the objects, for example apps/v1.
	APIVersion string `json:"apiVersion"`
	// kind is the value of the field kind in the objects, for example Deployment.
	Kind string `json:"kind"`
	// namespaced is true if the objects are namespaced.
	Namespaced bool `json:"namespaced"`
	// verbs are the verbs that the cluster supports.
	// +listType=atomic
	Verbs []string `json:"verbs"`
	// shortNames are other names that kubectl accepts.
	// +optional
	// +listType=atomic
	ShortNames []string `json:"shortNames,omitempty"`
	// categories are the categories of the kind, such as "all".
	// +optional
	// +listType=atomic
	Categories []string `json:"categories,omitempty"`
	// subresources are the subresources of an object, such as scale.
	// +optional
	// +listType=atomic
	Subresources []string `json:"subresources,omitempty"`
}

// APIResourceListEnvelope is the response to GET /clusters/{cluster}/api-resources.
type APIResourceListEnvelope struct {
	Header `json:",inline"`
	// data contains the kinds, in the cluster's order of preference.
	// +optional
	// +listType=atomic
	Data []APIResource `json:"data"`
	// meta contains information about the response.
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
	// kind is the value of the field kind in the objects, for example Deployment.
	Kind string `json:"kind"`
	// plural is the plural name of the kind.
	Plural string `json:"plural"`
	// namespaced is true if the objects are namespaced.
	Namespaced bool `json:"namespaced"`
	// categories are the categories of the kind, such as "all".
	// +optional
	// +listType=atomic
	Categories []string `json:"categories,omitempty"`
}

// CustomResourceListEnvelope is the response to GET /clusters/{cluster}/crds.
type CustomResourceListEnvelope struct {
	Header `json:",inline"`
	// data contains the kinds that CustomResourceDefinitions define.
	// +optional
	// +listType=atomic
	Data []CustomResource `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
