// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"strconv"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// TestInTurn verifies that at most searchesAtOnce clusters are searched concurrently. A further search must wait. The
// search must fail if its request ends during the wait.
func TestInTurn(t *testing.T) {
	e := NewProvider(nil)
	var leave func()
	for i := range searchesAtOnce {
		var err error
		if leave, err = e.limiter.Enter(t.Context(), strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := e.inTurn(ended, "x", func() { t.Error("it was searched out of turn") })
	if got := envelope.As(err); got.Code != dashboardv1alpha1.CodeTooManyRequests ||
		got.RetryAfterSeconds != retrySeconds {
		t.Errorf("got %+v", got)
	}
	leave()
	searched := false
	if err := e.inTurn(t.Context(), "x", func() { searched = true }); err != nil || !searched {
		t.Errorf("searched %t: %v", searched, err)
	}
	if err := e.inTurn(t.Context(), "x", func() {}); err != nil {
		t.Errorf("the first search has not left: %v", err)
	}
}
