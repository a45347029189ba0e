// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
)

func awaitEvent(tb testing.TB, name, eventType, reason, action string) {
	tb.Helper()
	eventually(tb, soon, "wait for the event "+reason, func(ctx context.Context) error {
		var all eventsv1.EventList
		if err := env.Client.List(ctx, &all); err != nil {
			return err
		}
		for i := range all.Items {
			e := &all.Items[i]
			if e.Regarding.Name == name && e.Reason == reason && e.Type == eventType && e.Action == action {
				return nil
			}
		}
		return errors.New("there is none")
	})
}
