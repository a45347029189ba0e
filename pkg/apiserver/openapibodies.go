// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

// anyMediaType is what routes are registered with, so that a body of a media type that they do not take is refused in an envelope.
const anyMediaType = "*/*"

// describeBodies says in the document what routes take after all, for which generators make typed requests: JSON, and the patches of
// Kubernetes that are objects.
func describeBodies(document *spec3.OpenAPI) (*spec3.OpenAPI, error) {
	if document.Components != nil {
		if manifest := document.Components.Schemas[dashboardv1alpha1.Manifest{}.OpenAPIModelName()]; manifest != nil {
			manifest.AdditionalProperties = &spec.SchemaOrBool{Allows: true} // an object of any kind
		}
	}
	if document.Paths == nil {
		return document, nil
	}
	for _, path := range document.Paths.Paths {
		for _, operation := range []*spec3.Operation{path.Post, path.Put, path.Delete} {
			describeBody(operation, restful.MIME_JSON)
		}
		describeBody(path.Patch, string(types.ApplyYAMLPatchType), string(types.MergePatchType), string(types.StrategicMergePatchType))
	}
	return document, nil
}

func describeBody(operation *spec3.Operation, mediaTypes ...string) {
	if operation == nil || operation.RequestBody == nil {
		return
	}
	body, ok := operation.RequestBody.Content[anyMediaType]
	if !ok {
		return
	}
	delete(operation.RequestBody.Content, anyMediaType)
	for _, mediaType := range mediaTypes {
		operation.RequestBody.Content[mediaType] = body
	}
}
