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

// Apply does all steps or none: each on trial first, so that a caller who may do only some of them has done none; then one after the other,
// and where one fails after all, those before are taken back. The error says what could not be.
func (c *Caller) Apply(ctx context.Context, steps ...Step) error {
	trial := client.NewDryRunClient(c.Client)
	for _, s := range steps {
		if err := s.Do(ctx, trial); err != nil {
			return err
		}
	}
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
