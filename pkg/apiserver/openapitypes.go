// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/openapi"
)

const (
	codeModel    = "io.kubevision.dashboard.v1alpha1.Code"
	codeProperty = "code"
	// schemaPrefix is the prefix of references to schemas in an OpenAPI v3 document.
	schemaPrefix = "#/components/schemas/"
)

// definitions returns the generated OpenAPI definitions. It adds the definitions of types that are not structs, because
// the generator omits such types.
func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	out := openapi.GetOpenAPIDefinitions(ref)
	describeCodes(out, ref)
	for name, item := range map[string]string{
		dashboardv1alpha1.BatchDelete{}.OpenAPIModelName():  dashboardv1alpha1.BatchDeleteItem{}.OpenAPIModelName(),
		dashboardv1alpha1.BatchRestart{}.OpenAPIModelName(): dashboardv1alpha1.BatchRestartItem{}.OpenAPIModelName(),
	} {
		items := spec.Schema{SchemaProps: spec.SchemaProps{Ref: ref(item)}}
		out[name] = common.OpenAPIDefinition{
			Schema: spec.Schema{SchemaProps: spec.SchemaProps{
				Description: "The objects that the batch is about.", Type: []string{"array"},
				Items: &spec.SchemaOrArray{Schema: &items},
			}},
			Dependencies: []string{item},
		}
	}
	// The errors of some failed logins contain data of the types TwoFactorChallenge and PasswordChangeRequired. No
	// schema refers to these types. They become part of the document as dependencies of LoginEnvelope.
	name := dashboardv1alpha1.LoginEnvelope{}.OpenAPIModelName()
	login := out[name]
	login.Dependencies = append(login.Dependencies,
		dashboardv1alpha1.TwoFactorChallenge{}.OpenAPIModelName(),
		dashboardv1alpha1.PasswordChangeRequired{}.OpenAPIModelName())
	out[name] = login
	return out
}

// describeCodes changes each integer property that is named "code". The new type of the property is a reference to the
// schema of codes (see codeSchema).
func describeCodes(out map[string]common.OpenAPIDefinition, ref common.ReferenceCallback) {
	for name, definition := range out {
		property, ok := definition.Schema.Properties[codeProperty]
		if !ok || !property.Type.Contains("integer") {
			continue
		}
		property.Type, property.Format, property.Default = nil, "", nil
		property.Ref = ref(codeModel)
		definition.Schema.Properties[codeProperty] = property
		definition.Dependencies = append(definition.Dependencies, codeModel)
		out[name] = definition
	}
	out[codeModel] = common.OpenAPIDefinition{Schema: codeSchema()}
}

// codeSchema returns the schema of the codes in envelopes. The extension x-enum-varnames contains a name for each code.
// Client generators make constants with these names.
func codeSchema() spec.Schema {
	schema := spec.Schema{SchemaProps: spec.SchemaProps{
		Description: "Code is the result of a request. The HTTP status is always 200; 0 means success.",
		Type:        []string{"integer"}, Format: "int32",
	}}
	named := dashboardv1alpha1.CodeNames()
	names := make([]any, 0, len(named))
	for _, code := range slices.Sorted(maps.Keys(named)) {
		schema.Enum = append(schema.Enum, int32(code))
		names = append(names, named[code])
	}
	schema.AddExtension("x-enum-varnames", names)
	return schema
}

// describeObjects adds properties of schemas that the generator does not support: objects of clusters have additional
// fields, cells of tables have any type, and the data of an envelope may be null.
func describeObjects(document *spec3.OpenAPI) {
	if document.Components == nil {
		return
	}
	schemas := document.Components.Schemas
	object := dashboardv1alpha1.Object{}.OpenAPIModelName()
	for _, name := range []string{object, dashboardv1alpha1.Manifest{}.OpenAPIModelName()} {
		if schema := schemas[name]; schema != nil {
			schema.AdditionalProperties = &spec.SchemaOrBool{Allows: true}
		}
	}
	if schema := schemas[object]; schema != nil { // The type of a cell depends on its column.
		cells := schema.Properties["cells"]
		cells.Items = &spec.SchemaOrArray{Schema: &spec.Schema{}}
		schema.Properties["cells"] = cells
	}
	anything := runtime.RawExtension{}.OpenAPIModelName()
	if schema := schemas[dashboardv1alpha1.DryRunObject{}.OpenAPIModelName()]; schema != nil {
		setReference(schema, "raw", object)
	}
	for _, schema := range schemas {
		data, ok := schema.Properties["data"]
		if !ok || !hasAll(schema, codeProperty, "message", "meta") {
			continue
		}
		if refersTo(&data, anything) {
			data.AllOf = nil
		}
		if len(data.Type) == 0 {
			data.Type = []string{"object"}
		}
		data.Nullable = true // nullable has an effect only together with a type
		schema.Properties["data"] = data
		schema.Required = append(slices.Clone(schema.Required), "data")
	}
	delete(schemas, anything)
}

func setReference(schema *spec.Schema, property, model string) {
	p := schema.Properties[property]
	p.AllOf = []spec.Schema{{SchemaProps: spec.SchemaProps{Ref: spec.MustCreateRef(schemaPrefix + model)}}}
	schema.Properties[property] = p
}

func refersTo(schema *spec.Schema, model string) bool {
	return len(schema.AllOf) == 1 && schema.AllOf[0].Ref.String() == schemaPrefix+model
}

func hasAll(schema *spec.Schema, properties ...string) bool {
	return !slices.ContainsFunc(properties, func(name string) bool {
		_, ok := schema.Properties[name]
		return !ok
	})
}
