// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package response

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewClient wraps c. The errors of the returned client are sanitized, so that their text may be shown to users. Errors
// of clients for subresources are not sanitized.
func NewClient(c client.Client) client.Client { return &errorClient{Client: c} }

// NewReader wraps r. The errors of the returned reader are sanitized, so that their text may be shown to users.
func NewReader(r client.Reader) client.Reader { return &errorReader{r} }

type errorClient struct {
	client.Client
}

// Get implements client.Reader.
func (c *errorClient) Get(
	ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption,
) error {
	return Error(ctx, c.Client.Get(ctx, key, o, options...))
}

// List implements client.Reader.
func (c *errorClient) List(ctx context.Context, l client.ObjectList, options ...client.ListOption) error {
	return Error(ctx, c.Client.List(ctx, l, options...))
}

// Apply implements client.Writer.
func (c *errorClient) Apply(ctx context.Context, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	return Error(ctx, c.Client.Apply(ctx, o, options...))
}

// Create implements client.Writer.
func (c *errorClient) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return Error(ctx, c.Client.Create(ctx, o, options...))
}

// Delete implements client.Writer.
func (c *errorClient) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	return Error(ctx, c.Client.Delete(ctx, o, options...))
}

// DeleteAllOf implements client.Writer.
func (c *errorClient) DeleteAllOf(ctx context.Context, o client.Object, options ...client.DeleteAllOfOption) error {
	return Error(ctx, c.Client.DeleteAllOf(ctx, o, options...))
}

// Update implements client.Writer.
func (c *errorClient) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return Error(ctx, c.Client.Update(ctx, o, options...))
}

// Patch implements client.Writer.
func (c *errorClient) Patch(
	ctx context.Context, o client.Object, patch client.Patch, options ...client.PatchOption,
) error {
	return Error(ctx, c.Client.Patch(ctx, o, patch, options...))
}

type errorReader struct {
	client.Reader
}

// Get implements client.Reader.
func (r *errorReader) Get(
	ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption,
) error {
	return Error(ctx, r.Reader.Get(ctx, key, o, options...))
}

// List implements client.Reader.
func (r *errorReader) List(ctx context.Context, l client.ObjectList, options ...client.ListOption) error {
	return Error(ctx, r.Reader.List(ctx, l, options...))
}
