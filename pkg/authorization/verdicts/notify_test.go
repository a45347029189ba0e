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

// TestChangesAreReportedTogether verifies that many changes of RBAC objects at once cause exactly one call of
// scope.notify. A malicious member cluster may send changes without pauses.
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
