// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package finalizer adds finalizers to objects, and removes them after a cleanup.
package finalizer

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Ensure adds the finalizer with the given name to the object. The caller must call Ensure before it creates anything
// that must be cleaned up.
func Ensure(ctx context.Context, c client.Client, object client.Object, name string) error {
	if err := patch(ctx, c, object, func() bool { return controllerutil.AddFinalizer(object, name) }); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// Finish runs the cleanup, and then removes the finalizer with the given name from the object. If the cleanup fails,
// Finish returns the error and keeps the finalizer. Finish does nothing if the object does not have the finalizer.
func Finish(
	ctx context.Context, c client.Client, object client.Object, name string, clean func(context.Context) error,
) error {
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

// patch calls changeFunc, which adds or removes a finalizer. If changeFunc returns true, patch writes the finalizers
// with a merge patch. An update would drop fields that this version of KubeVision does not know. patch fails with a
// conflict if the object has changed meanwhile.
func patch(ctx context.Context, c client.Client, object client.Object, changeFunc func() bool) error {
	before, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return errors.New("the copy is not an object")
	}
	if !changeFunc() {
		return nil
	}
	return c.Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
