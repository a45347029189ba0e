// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

// Schema contains the top-level fields of a kind, according to the OpenAPI document of the cluster.
type Schema struct {
	// properties is the JSON of the schema's properties.
	properties []byte
	// open is true if objects of the kind may have fields that the schema does not contain.
	open bool
}

var errNoSchema = errors.New("the cluster publishes no schema for this kind")

// Schema reads the OpenAPI document of the resource's group version, and returns the schema of the resource's kind. It
// returns an error if the document contains no such schema.
func (c *Client) Schema(ctx context.Context, r Resource) (*Schema, error) {
	segments := []string{"/openapi/v3/apis", r.Group, r.Version}
	if r.Group == "" {
		segments = []string{"/openapi/v3/api", r.Version}
	}
	client, err := c.rest()
	if err != nil {
		return nil, err
	}
	request := client.Get().AbsPath(segments...).SetHeader("Accept", mediaTypeJSON)
	body, err := request.MaxRetries(maxRetries).WarningHandler(rest.NoWarnings{}).Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", r.Kind, err)
	}
	return readSchema(body, r.GroupVersion().WithKind(r.Kind))
}

// readSchema finds the schema of a kind in an OpenAPI document. It does not decode the document, because the decoded
// document could use a hundred times the memory.
func readSchema(document []byte, kind schema.GroupVersionKind) (*Schema, error) {
	s := rawjson.NewScanner(document)
	if s.Value() != nil || s.End() != nil {
		return nil, errNoSchema
	}
	schemas, _ := rawjson.Lookup(document, "components", "schemas")
	found := schemaOf(schemas, kind)
	if found == nil {
		return nil, errNoSchema
	}
	out := &Schema{}
	out.properties, _ = rawjson.Lookup(found, "properties")
	open, _ := rawjson.Lookup(found, "x-kubernetes-preserve-unknown-fields")
	out.open = string(open) == "true"
	return out, nil
}

// schemaOf returns the JSON of the schema of a kind, or nil. It finds the schema in the JSON of components.schemas.
func schemaOf(schemas []byte, kind schema.GroupVersionKind) []byte {
	var found []byte
	s := rawjson.NewScanner(schemas)
	if s.Peek() != '{' {
		return nil
	}
	_ = s.Members(func(rawjson.Quoted) error { // the document is valid
		begin := s.Pos()
		if err := s.Value(); err != nil {
			return err //nolint:wrapcheck // the caller ignores it
		}
		if one := s.Since(begin); found == nil && describes(one, kind) {
			found = one
		}
		return nil
	})
	return found
}

// describes returns true if the x-kubernetes-group-version-kind of a schema contains the kind.
func describes(one []byte, kind schema.GroupVersionKind) bool {
	kinds, ok := rawjson.Lookup(one, "x-kubernetes-group-version-kind")
	if !ok {
		return false
	}
	is := false
	rawjson.Elements(kinds, func(element []byte) {
		is = is || textAt(element, "group") == kind.Group && textAt(element, "version") == kind.Version &&
			textAt(element, "kind") == kind.Kind
	})
	return is
}

// textAt returns the string in the given member of a JSON object, or an empty string if there is none.
func textAt(object []byte, name string) string {
	value, ok := rawjson.Lookup(object, name)
	if !ok {
		return ""
	}
	text, err := rawjson.NewScanner(value).Text()
	if err != nil {
		return ""
	}
	return text
}

// Has returns true if objects of the kind may have the top-level field.
func (s *Schema) Has(field string) bool {
	_, ok := rawjson.Lookup(s.properties, field)
	return ok || s.open
}
