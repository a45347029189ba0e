// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package finalizer keeps an object until what was made for it elsewhere is gone.
package finalizer

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Ensure adds the finalizer. It must be there before anything is made.
func Ensure(ctx context.Context, c client.Client, object client.Object, name string) error {
	if !controllerutil.AddFinalizer(object, name) {
		return nil
	}
	if err := c.Update(ctx, object); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// Finish calls clean and, when that has succeeded, removes the finalizer. It does neither where the finalizer is gone already.
func Finish(ctx context.Context, c client.Client, object client.Object, name string, clean func(context.Context) error) error {
	if !controllerutil.ContainsFinalizer(object, name) {
		return nil
	}
	if err := clean(ctx); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(object, name)
	if err := c.Update(ctx, object); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}
