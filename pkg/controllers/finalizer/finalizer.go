// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package finalizer keeps an object until what was made for it elsewhere is gone.
package finalizer

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Ensure adds the finalizer. It must be there before anything is made.
func Ensure(ctx context.Context, c client.Client, object client.Object, name string) error {
	if err := patch(ctx, c, object, func() bool { return controllerutil.AddFinalizer(object, name) }); err != nil {
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
	err := patch(ctx, c, object, func() bool { return controllerutil.RemoveFinalizer(object, name) })
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

// patch sends the list of finalizers and nothing else: an update would drop every field that this binary does not know. The
// resource version keeps it from overwriting a finalizer that somebody else has added or removed meanwhile.
func patch(ctx context.Context, c client.Client, object client.Object, change func() bool) error {
	before, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return errors.New("the copy is not an object")
	}
	if !change() {
		return nil
	}
	return c.Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
