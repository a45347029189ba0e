// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
)

// undoTimeout bounds taking back what was done, also for a client that has gone away.
const undoTimeout = 10 * time.Second

// Step is one write of several that belong together.
type Step struct {
	// What names the object that is written.
	What string
	// Do writes. It is called twice, first with a client that writes nothing, and so must not change what it is made of.
	Do func(context.Context, client.Client) error
	// Undo takes back what Do did.
	Undo func(context.Context, client.Client) error
}

// Create is the step that makes an object; refused finds the code of an error.
func Create(what string, object func() client.Object, refused func(context.Context, error) error) Step {
	var made client.Object
	return Step{
		What: what,
		Do: func(ctx context.Context, c client.Client) error {
			made = object()
			return refused(ctx, c.Create(ctx, made))
		},
		Undo: func(ctx context.Context, c client.Client) error { return c.Delete(ctx, made, This(made)) },
	}
}

// Patch is the step from one state of an object to another. Where the client has given a version, it fails for any other.
func Patch(what string, from, to client.Object, given string, refused func(context.Context, error) error) Step {
	write := func(ctx context.Context, c client.Client, from, to client.Object, given string) error {
		written, ok := to.DeepCopyObject().(client.Object)
		if !ok { // cannot be: a copy has the type of what it was made of
			return fmt.Errorf("copying %s", what)
		}
		return c.Patch(ctx, written, Change(from, given))
	}
	return Step{
		What: what,
		Do:   func(ctx context.Context, c client.Client) error { return refused(ctx, write(ctx, c, from, to, given)) },
		Undo: func(ctx context.Context, c client.Client) error { return write(ctx, c, to, from, "") },
	}
}

// Change is the patch from one state of an object to another. Where the client has given a version, it fails for any other.
func Change(from client.Object, given string) client.Patch {
	if given == "" {
		return client.MergeFrom(from)
	}
	return client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{})
}

// Apply does all steps or none: it tries them first.
func (c *Caller) Apply(ctx context.Context, steps ...Step) error {
	if err := c.Try(ctx, steps...); err != nil {
		return err
	}
	return c.Do(ctx, steps...)
}

// Try does each step on trial, so that a caller who may do only some of them is refused before any is done.
func (c *Caller) Try(ctx context.Context, steps ...Step) error {
	trial := client.NewDryRunClient(c.Client)
	for _, s := range steps {
		if err := s.Do(ctx, trial); err != nil {
			return err
		}
	}
	return nil
}

// Do does one step after the other. Where one fails after all, those before are taken back; the error says what could not be.
func (c *Caller) Do(ctx context.Context, steps ...Step) error {
	for i, s := range steps {
		if err := s.Do(ctx, c.Client); err != nil {
			return c.undo(ctx, steps[:i], err)
		}
	}
	return nil
}

func (c *Caller) undo(ctx context.Context, done []Step, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var left []string
	var errs []error
	for _, s := range slices.Backward(done) {
		if err := s.Undo(ctx, c.Client); client.IgnoreNotFound(err) != nil {
			left = append(left, s.What)
			errs = append(errs, fmt.Errorf("taking back %s: %w", s.What, err))
		}
	}
	if len(left) == 0 {
		return cause
	}
	e := *envelope.As(cause)
	e.Message += "; and this could not be taken back: " + strings.Join(left, ", ")
	return (&e).Because(errors.Join(append(errs, cause)...))
}
