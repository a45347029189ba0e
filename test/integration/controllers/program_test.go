// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// restart stops kubevision-controller-manager gracefully and starts it again.
func restart(tb testing.TB) {
	tb.Helper()
	if err := env.KubeVision.ControllerManager().Restart(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// crash kills kubevision-controller-manager and starts it again.
func crash(tb testing.TB) {
	tb.Helper()
	if err := env.CrashControllers(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// awaitLeader waits until a controller manager is active and has reconciled a new user.
func awaitLeader(tb testing.TB) {
	tb.Helper()
	u := newUser(tb, "")
	eventually(tb, lease, "wait until the controllers are active", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return err
		}
		if u.Status.ObservedGeneration == 0 {
			return errors.New("a new user is not seen")
		}
		return nil
	})
}
