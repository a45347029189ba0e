// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// TestInTurn verifies that a search beyond the limit of the replica waits, at most until its request ends.
func TestInTurn(t *testing.T) {
	e := NewProvider(nil)
	for range searchesAtOnce {
		e.limiter.all <- struct{}{}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := e.inTurn(ended, "x", func() { t.Error("it was searched out of turn") })
	if got := envelope.As(err); got.Code != dashboardv1alpha1.CodeTooManyRequests ||
		got.RetryAfterSeconds != retrySeconds {
		t.Errorf("got %+v", got)
	}
	<-e.limiter.all
	searched := false
	if err := e.inTurn(t.Context(), "x", func() { searched = true }); err != nil || !searched ||
		len(e.limiter.all) != searchesAtOnce-1 {
		t.Errorf("searched %t, %d places are taken: %v", searched, len(e.limiter.all), err)
	}
}
