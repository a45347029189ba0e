// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

func restart(tb testing.TB) {
	tb.Helper()
	if err := env.KubeVision.ControllerManager().Restart(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func crash(tb testing.TB) {
	tb.Helper()
	if err := env.CrashControllers(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

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
