// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestPanicWhileReading verifies that a panic while a log is read becomes an error of this log. Without recovery, the
// panic would end the server.
func TestPanicWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errStop := errors.New("stop")
		var emitted []event
		f := &follower{emit: func(e event) error {
			emitted = append(emitted, e)
			return errStop
		}}
		broken := &source{pod: "web"} // reading panics, because there is no caller
		if err := f.follow(t.Context(), []*source{broken}); !errors.Is(err, errStop) {
			t.Fatalf("it ended with %v", err)
		}
		if len(emitted) != 1 || emitted[0].err == nil || emitted[0].line.Pod != "web" {
			t.Errorf("emitted %+v", emitted)
		}
	})
}

// TestPanicWhileListing verifies that a panic while the Pods are listed does not end the server.
func TestPanicWhileListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*rescanInterval)
		defer cancel()
		f := &follower{emit: func(event) error { return nil }} // listing panics, because there is no selection
		if err := f.follow(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
	})
}
