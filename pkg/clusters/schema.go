// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// decodedSchema is the memory for each byte of an OpenAPI document while it is decoded.
const decodedSchema = 2

// Schema is the OpenAPI schema of a kind.
type Schema struct {
	// Kinds are the kinds that the schema describes.
	Kinds []schema.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	// Properties are the top-level fields.
	Properties map[string]json.RawMessage `json:"properties"`
	// Open is true if objects may have fields that the schema does not list.
	Open bool `json:"x-kubernetes-preserve-unknown-fields"`
}

var errNoSchema = errors.New("the cluster publishes no schema of the kind")

// Schema reads the schema of a kind from the OpenAPI document of its version. The document is charged to the account of
// the request.
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
	account, size := budget.AccountFrom(ctx), int64(len(body))*decodedSchema
	if err := account.Take(size); err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", r.Kind, err)
	}
	defer account.Give(size)
	var document struct {
		Components struct {
			Schemas map[string]*Schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, errNoSchema
	}
	kind := r.GroupVersion().WithKind(r.Kind)
	for _, found := range document.Components.Schemas {
		if slices.Contains(found.kinds(), kind) {
			return found, nil
		}
	}
	return nil, errNoSchema
}

func (s *Schema) kinds() []schema.GroupVersionKind {
	if s == nil {
		return nil
	}
	return s.Kinds
}

// Has returns true if objects of the kind may have a top-level field.
func (s *Schema) Has(field string) bool {
	_, ok := s.Properties[field]
	return ok || s.Open
}
