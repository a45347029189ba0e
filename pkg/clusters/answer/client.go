// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package answer

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewClient returns a client whose errors are those of Error.
func NewClient(c client.Client) client.Client { return &errorClient{Client: c} }

// NewReader returns a reader whose errors are those of Error.
func NewReader(r client.Reader) client.Reader { return &errorReader{r} }

type errorClient struct {
	client.Client
}

// Get is client.Reader's.
func (c *errorClient) Get(
	ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption,
) error {
	return Error(ctx, c.Client.Get(ctx, key, o, options...))
}

// List is client.Reader's.
func (c *errorClient) List(ctx context.Context, l client.ObjectList, options ...client.ListOption) error {
	return Error(ctx, c.Client.List(ctx, l, options...))
}

// Apply is client.Writer's.
func (c *errorClient) Apply(ctx context.Context, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	return Error(ctx, c.Client.Apply(ctx, o, options...))
}

// Create is client.Writer's.
func (c *errorClient) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return Error(ctx, c.Client.Create(ctx, o, options...))
}

// Delete is client.Writer's.
func (c *errorClient) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	return Error(ctx, c.Client.Delete(ctx, o, options...))
}

// DeleteAllOf is client.Writer's.
func (c *errorClient) DeleteAllOf(ctx context.Context, o client.Object, options ...client.DeleteAllOfOption) error {
	return Error(ctx, c.Client.DeleteAllOf(ctx, o, options...))
}

// Update is client.Writer's.
func (c *errorClient) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return Error(ctx, c.Client.Update(ctx, o, options...))
}

// Patch is client.Writer's.
func (c *errorClient) Patch(
	ctx context.Context, o client.Object, patch client.Patch, options ...client.PatchOption,
) error {
	return Error(ctx, c.Client.Patch(ctx, o, patch, options...))
}

type errorReader struct {
	client.Reader
}

// Get is client.Reader's.
func (r *errorReader) Get(
	ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption,
) error {
	return Error(ctx, r.Reader.Get(ctx, key, o, options...))
}

// List is client.Reader's.
func (r *errorReader) List(ctx context.Context, l client.ObjectList, options ...client.ListOption) error {
	return Error(ctx, r.Reader.List(ctx, l, options...))
}
