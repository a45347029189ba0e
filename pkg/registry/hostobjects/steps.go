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

// Step is one of several writes of which either all or none should take effect.
type Step struct {
	// Object is the name of the written object in messages.
	Object string
	// Do writes the object with the given client. It is called twice, first with a dry-run client, and must therefore
	// not change its inputs.
	Do func(context.Context, client.Client) error
	// Undo reverts a successful Do. It may be nil for the last step, which is never reverted.
	Undo func(context.Context, client.Client) error
}

// Create returns a step that creates the object that the function object returns. The parameter what is the name of the
// object in messages. The function refused converts the error of the write to an error with a code. It is also called
// after a successful write, and returns nil if the error is nil.
func Create(what string, object func() client.Object, refused func(context.Context, error) error) Step {
	var made client.Object
	return Step{
		Object: what,
		Do: func(ctx context.Context, c client.Client) error {
			made = object()
			return refused(ctx, c.Create(ctx, made))
		},
		Undo: func(ctx context.Context, c client.Client) error { return c.Delete(ctx, made, UIDPrecondition(made)) },
	}
}

// Patch returns a step that patches an object. The parameter from is the object as it was read, and the parameter to is
// the changed object. The parameter what is the name of the object in messages. The parameter given is the
// ResourceVersion in the request, and may be empty. If the client has sent a ResourceVersion, the step fails if the
// object has changed since it was read. The function refused converts the error of the write to an error with a code.
// It is also called after a successful write, and returns nil if the error is nil.
func Patch(what string, from, to client.Object, given string, refused func(context.Context, error) error) Step {
	write := func(ctx context.Context, c client.Client, from, to client.Object, given string) error {
		written, ok := to.DeepCopyObject().(client.Object)
		if !ok { // Impossible, because a copy has the type of its original.
			return fmt.Errorf("copying %s", what)
		}
		return c.Patch(ctx, written, PatchFrom(from, given))
	}
	return Step{
		Object: what,
		Do: func(ctx context.Context, c client.Client) error {
			return refused(ctx, write(ctx, c, from, to, given))
		},
		Undo: func(ctx context.Context, c client.Client) error { return write(ctx, c, to, from, "") },
	}
}

// PatchFrom returns a merge patch with the changes to the object that was read, which is the parameter from. The
// parameter given is the ResourceVersion in the request, or empty. If it is not empty, the patch contains the
// ResourceVersion of from. The API server then rejects the patch with a conflict if the object has changed since it was
// read. PatchFrom does not compare the two ResourceVersions: see CheckVersion.
func PatchFrom(from client.Object, given string) client.Patch {
	if given == "" {
		return client.MergeFrom(from)
	}
	return client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{})
}

// Apply calls DryRun and then Execute. If it returns an error, no step has taken effect. The only exceptions are steps
// that could not be reverted, which the error names.
func (c *Client) Apply(ctx context.Context, steps ...Step) error {
	if err := c.DryRun(ctx, steps...); err != nil {
		return err
	}
	return c.Execute(ctx, steps...)
}

// DryRun executes each step with a dry-run client, and returns the first error. It is called before Execute, because
// the caller may lack the permission for some of the steps.
func (c *Client) DryRun(ctx context.Context, steps ...Step) error {
	trial := client.NewDryRunClient(c.Client)
	for _, s := range steps {
		if err := s.Do(ctx, trial); err != nil {
			return err
		}
	}
	return nil
}

// Execute executes the steps in order. If a step fails, it reverts the steps before it. The returned error names the
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
