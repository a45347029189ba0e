// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Template is a manifest to begin with.
type Template struct {
	// id is the name of the ConfigMap that holds the template.
	ID string `json:"id"`
	// createdAt is the time at which the ConfigMap was made.
	CreatedAt metav1.Time `json:"createdAt"`
	// name of the template, to show.
	Name string `json:"name"`
	// category is the group that the template belongs to.
	Category string `json:"category"`
	// resourceType is the plural name of the kind.
	ResourceType string `json:"resourceType"`
	// content is the manifest, as JSON text.
	Content string `json:"content"`
	// isBuiltin is true for the templates that KubeVision brings along.
	IsBuiltin bool `json:"isBuiltin"`
}

// TemplateListEnvelope is the answer to GET /templates.
type TemplateListEnvelope struct {
	Header `json:",inline"`
	// data are the templates, by category and name.
	// +optional
	// +listType=atomic
	Data []Template `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// ImageReference is the name of a container image, in its parts.
type ImageReference struct {
	// registry is the host that serves the image.
	Registry string `json:"registry"`
	// repository is the path of the image there.
	Repository string `json:"repository"`
	// tag is the tag that the name has.
	// +optional
	Tag string `json:"tag,omitempty"`
	// digest is the digest that the name has.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// RegistryTags are the tags of a container image.
type RegistryTags struct {
	// reference is the name of the image.
	Reference ImageReference `json:"reference"`
	// tags is always empty: KubeVision asks no registries.
	// +listType=atomic
	Tags []string `json:"tags"`
	// cached is always false.
	Cached bool `json:"cached"`
}

// RegistryTagsEnvelope is the answer to GET /registry-tags.
type RegistryTagsEnvelope struct {
	Header `json:",inline"`
	// data are the tags.
	// +optional
	Data *RegistryTags `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
