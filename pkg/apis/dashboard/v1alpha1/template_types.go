// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Template is an example manifest.
type Template struct {
	// id is the name of the ConfigMap that contains the template.
	ID string `json:"id"`
	// createdAt is the creation time of the ConfigMap.
	CreatedAt metav1.Time `json:"createdAt"`
	// name is the displayed name of the template.
	Name string `json:"name"`
	// category is the topic under which dashboards list the template, for example workloads, network or storage.
	Category string `json:"category"`
	// resourceType is the plural name of the kind.
	ResourceType string `json:"resourceType"`
	// content is the manifest, as JSON text.
	Content string `json:"content"`
	// isBuiltin is true for the templates that KubeVision provides.
	IsBuiltin bool `json:"isBuiltin"`
}

// TemplateListEnvelope is the response to GET /templates.
type TemplateListEnvelope struct {
	Header `json:",inline"`
	// data contains the templates, sorted by category and then by name.
	// +optional
	// +listType=atomic
	Data []Template `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// ImageReference contains the parts of the name of a container image.
type ImageReference struct {
	// registry is the host that serves the image.
	Registry string `json:"registry"`
	// repository is the path of the image on the registry.
	Repository string `json:"repository"`
	// tag is the tag in the name of the image.
	// +optional
	Tag string `json:"tag,omitempty"`
	// digest is the digest in the name of the image.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// RegistryTags contains the tags of a container image.
type RegistryTags struct {
	// reference contains the parts of the requested image name: the registry, the repository, the tag and the digest.
	Reference ImageReference `json:"reference"`
	// tags is always empty, because KubeVision does not contact registries.
	// +listType=atomic
	Tags []string `json:"tags"`
	// cached is always false, because KubeVision does not read or cache the tags of registries.
	Cached bool `json:"cached"`
}

// RegistryTagsEnvelope is the response to GET /registry-tags.
type RegistryTagsEnvelope struct {
	Header `json:",inline"`
	// data contains the tags.
	// +optional
	Data *RegistryTags `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
