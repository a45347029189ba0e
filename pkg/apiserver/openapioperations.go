// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"maps"
	"net/http"
	"slices"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// anyMediaType is the media type with which routes register their request bodies. In the OpenAPI document, it is
	// replaced with the media types that a route accepts.
	anyMediaType = "*/*"

	bearerScheme = "accessToken"
	headerScheme = "accessTokenHeader"

	mergePatchModel = "io.kubevision.dashboard.v1alpha1.MergePatch"
	jsonPatchModel  = "io.kubevision.dashboard.v1alpha1.JSONPatch"
)

// describeOperations adds what go-restful routes cannot describe: the media types of bodies, the allowed values of
// parameters, and the security requirements.
func describeOperations(document *spec3.OpenAPI, table *routes.Table) {
	if document.Paths == nil || document.Components == nil {
		return
	}
	for _, r := range table.Routes() {
		path := document.Paths.Paths[dashboardv1alpha1.RootPath+r.Path]
		if path == nil {
			continue // the path belongs to another group
		}
		document.Components.SecuritySchemes = securitySchemes()
		maps.Copy(document.Components.Schemas, patchSchemas())
		operation := operationOf(path, r.Method)
		describeBody(operation, r)
		describeValues(slices.Concat(path.Parameters, operation.Parameters), r.Types)
		operation.SecurityRequirement = []map[string][]string{{bearerScheme: {}}, {headerScheme: {}}}
		if table.IsPublic(r.Method, r.Path) {
			// An empty requirement makes authentication optional.
			operation.SecurityRequirement = []map[string][]string{{}}
		}
	}
}

func operationOf(path *spec3.Path, method string) *spec3.Operation {
	return map[string]*spec3.Operation{
		"GET": path.Get, "HEAD": path.Head, "POST": path.Post, "PUT": path.Put,
		"PATCH": path.Patch, "DELETE": path.Delete,
	}[method]
}

// describeBody sets the media types of the body: JSON or, for PATCH, the patch types of Kubernetes.
func describeBody(operation *spec3.Operation, r routes.Route) {
	if operation.RequestBody == nil {
		return
	}
	operation.RequestBody.Required = !r.BodyOptional
	content := operation.RequestBody.Content
	body := content[anyMediaType]
	delete(content, anyMediaType)
	if r.Method != http.MethodPatch {
		content[restful.MIME_JSON] = body
		return
	}
	content[string(types.ApplyYAMLPatchType)] = body
	content[string(types.MergePatchType)] = mediaTypeOf(mergePatchModel)
	content[string(types.StrategicMergePatchType)] = mediaTypeOf(mergePatchModel)
	content[string(types.JSONPatchType)] = mediaTypeOf(jsonPatchModel)
}

func mediaTypeOf(model string) *spec3.MediaType {
	return &spec3.MediaType{MediaTypeProps: spec3.MediaTypeProps{
		Schema: &spec.Schema{SchemaProps: spec.SchemaProps{Ref: spec.MustCreateRef(schemaPrefix + model)}},
	}}
}

// patchSchemas returns the schemas of patches, for which there are no Go types.
func patchSchemas() map[string]*spec.Schema {
	text := spec.StringProperty()
	operation := spec.Schema{SchemaProps: spec.SchemaProps{
		Type: []string{"object"}, Required: []string{"op", "path"},
		Properties: map[string]spec.Schema{
			"op": {SchemaProps: spec.SchemaProps{
				Type: []string{"string"}, Enum: []any{"add", "remove", "replace", "move", "copy", "test"},
			}},
			"path": *text, "from": *text, "value": {},
		},
	}}
	return map[string]*spec.Schema{
		mergePatchModel: {SchemaProps: spec.SchemaProps{
			Description: "MergePatch holds the fields to change; null removes one.", Type: []string{"object"},
			AdditionalProperties: &spec.SchemaOrBool{Allows: true},
		}},
		jsonPatchModel: {SchemaProps: spec.SchemaProps{
			Description: "JSONPatch holds operations on an object (RFC 6902).", Type: []string{"array"},
			Items: &spec.SchemaOrArray{Schema: &operation},
		}},
	}
}

func describeValues(parameters []*spec3.Parameter, described map[string]routes.Type) {
	for _, p := range parameters {
		p.Schema.UniqueItems = false // uniqueItems applies only to arrays
		values := described[p.Name].Values
		if p.In != "query" || len(values) == 0 {
			continue
		}
		p.Schema.Enum = make([]any, 0, len(values))
		for _, value := range values {
			p.Schema.Enum = append(p.Schema.Enum, value)
		}
	}
}

// securitySchemes returns the headers that may contain an access token. Public routes need no token.
func securitySchemes() spec3.SecuritySchemes {
	return spec3.SecuritySchemes{
		bearerScheme: {SecuritySchemeProps: spec3.SecuritySchemeProps{
			Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "The access token of a login, at kubevision-apiserver. At kube-apiserver, a token that it " +
				"knows.",
		}},
		headerScheme: {SecuritySchemeProps: spec3.SecuritySchemeProps{
			Type: "apiKey", In: "header", Name: dashboardv1alpha1.TokenHeader,
			Description: "The access token of a login, at either of them. It decides who the caller is.",
		}},
	}
}
