// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
)

// TestChangesAreReportedTogether verifies that an endless sequence of changes, which a member may send, is reported at
// a bounded rate, and that the last change is reported.
func TestChangesAreReportedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported atomic.Int64
		s := newScope(clock.RealClock{})
		s.notify = func() { reported.Add(1) }
		for want := range int64(3) {
			for range 1000 {
				s.recordChange()
			}
			time.Sleep(notifyDelay)
			synctest.Wait()
			if got := reported.Load(); got != want+1 {
				t.Errorf("%d reports of %d floods", got, want+1)
			}
		}
	})
}
