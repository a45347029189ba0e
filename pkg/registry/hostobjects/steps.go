// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package hostobjects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// undoTimeout bounds the time for reverting steps. Reverting continues after the client has disconnected.
const undoTimeout = 10 * time.Second

// Step is one write of a sequence. If one write fails, the earlier writes are reverted.
type Step struct {
	// Object is the description of the written object in error messages, for example "Secret a".
	Object string
	// Do writes the object with the given client. It is called first with a dry-run client, and then with a normal
	// client. The first call must not change variables that the second call uses.
	Do func(context.Context, client.Client) error
	// Undo reverts a successful Do. It may be nil for the last step, because the last step is never reverted.
	Undo func(context.Context, client.Client) error
}

// Create returns a Step that creates the object that newObject() returns. description describes the object in error
// messages. errorMapper converts the error of the write to an error with a code of KubeVision's API. For a nil error,
// errorMapper must return nil.
func Create(description string, newObject func() client.Object, errorMapper func(context.Context, error) error) Step {
	var created client.Object
	return Step{
		Object: description,
		Do: func(ctx context.Context, c client.Client) error {
			created = newObject()
			return errorMapper(ctx, c.Create(ctx, created))
		},
		Undo: func(ctx context.Context, c client.Client) error {
			return c.Delete(ctx, created, UIDPrecondition(created))
		},
	}
}

// Patch returns a Step that writes the difference between oldObject and newObject. requestVersion is the resource
// version in the request. The caller must first compare requestVersion with oldObject (see CheckVersion). If
// requestVersion is empty, the Step applies to any version of the object. If requestVersion is not empty, the Step
// fails if the object has changed since oldObject was read. errorMapper converts the error of the write to an error
// with a code of KubeVision's API. For a nil error, errorMapper must return nil.
func Patch(
	description string, oldObject, newObject client.Object, requestVersion string,
	errorMapper func(context.Context, error) error,
) Step {
	write := func(ctx context.Context, c client.Client, from, to client.Object, version string) error {
		written, ok := to.DeepCopyObject().(client.Object)
		if !ok { // Impossible, because a copy has the type of its original.
			return fmt.Errorf("copying %s", description)
		}
		return c.Patch(ctx, written, PatchFrom(from, version))
	}
	return Step{
		Object: description,
		Do: func(ctx context.Context, c client.Client) error {
			return errorMapper(ctx, write(ctx, c, oldObject, newObject, requestVersion))
		},
		Undo: func(ctx context.Context, c client.Client) error { return write(ctx, c, newObject, oldObject, "") },
	}
}

// PatchFrom returns a merge patch against oldObject. requestVersion is the resourceVersion in the request, or empty. If
// requestVersion is empty, the patch applies to any version of the object. Otherwise, the patch fails if the object has
// changed since oldObject was read. The caller must first compare requestVersion with oldObject (see CheckVersion).
func PatchFrom(oldObject client.Object, requestVersion string) client.Patch {
	if requestVersion == "" {
		return client.MergeFrom(oldObject)
	}
	// The patch contains the version of oldObject, because CheckVersion compares it with requestVersion.
	return client.MergeFromWithOptions(oldObject, client.MergeFromWithOptimisticLock{})
}

// Apply calls c.DryRun with all steps. If there is no error, Apply calls c.Execute with all steps. If a step fails,
// Execute reverts the earlier steps. The returned error names the steps that could not be reverted.
func (c *Client) Apply(ctx context.Context, steps ...Step) error {
	if err := c.DryRun(ctx, steps...); err != nil {
		return err
	}
	return c.Execute(ctx, steps...)
}

// DryRun tries all steps without changing an object, and returns the first error.
func (c *Client) DryRun(ctx context.Context, steps ...Step) error {
	trial := client.NewDryRunClient(c.Client)
	for _, s := range steps {
		if err := s.Do(ctx, trial); err != nil {
			return err
		}
	}
	return nil
}

// Execute executes the steps in order. If a step fails, Execute reverts the earlier steps. The returned error names the
// steps that could not be reverted.
func (c *Client) Execute(ctx context.Context, steps ...Step) error {
	for i, s := range steps {
		if err := s.Do(ctx, c.Client); err != nil {
			return c.undo(ctx, steps[:i], err)
		}
	}
	return nil
}

func (c *Client) undo(ctx context.Context, done []Step, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var left []string
	var errs []error
	for _, s := range slices.Backward(done) {
		if err := s.Undo(ctx, c.Client); client.IgnoreNotFound(err) != nil {
			left = append(left, s.Object)
			errs = append(errs, fmt.Errorf("reverting %s: %w", s.Object, err))
		}
	}
	if len(left) == 0 {
		return cause
	}
	e := *envelope.As(cause)
	e.Message += "; and this could not be reverted: " + strings.Join(left, ", ")
	return (&e).WithCause(errors.Join(append(errs, cause)...))
}
