// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// sendAll sends n concurrent requests to the handler. It returns the time until all requests have ended.
func sendAll(t *testing.T, handler http.Handler, n int) time.Duration {
	t.Helper()
	begun := time.Now()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			handler.ServeHTTP(httptest.NewRecorder(), request(http.MethodPost, "/api/v1/x"))
		})
	}
	group.Wait()
	return time.Since(begun)
}

func answering(failure *envelope.Error, status int) http.Handler {
	return WithEnvelope(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		envelope.StateFrom(r.Context()).SetFailure(failure)
		w.WriteHeader(status)
	}), neverShared, NewRefusals())
}

func TestRefusalsArePaced(t *testing.T) {
	expired := envelope.New(dashboardv1alpha1.CodeTokenExpired, "the token has expired")
	const most = time.Second * waitingRefusals / refusalsPerSecond
	for name, c := range map[string]struct {
		failure           *envelope.Error
		status            int
		requests          int
		shortest, longest time.Duration
	}{
		"a burst": {nil, http.StatusUnauthorized, refusalBurst, 0, 0},
		"more than a burst": {nil, http.StatusUnauthorized, refusalBurst + refusalsPerSecond, time.Second,
			time.Second},
		"more than may wait":  {nil, http.StatusUnauthorized, 10 * waitingRefusals, most / 2, most},
		"an expired token":    {expired, http.StatusUnauthorized, 10 * refusalBurst, 0, 0},
		"another HTTP status": {nil, http.StatusNotFound, 10 * refusalBurst, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took := sendAll(t, answering(c.failure, c.status), c.requests).Round(time.Millisecond)
				if took < c.shortest || took > c.longest {
					t.Errorf("%d answers took %s, want %s to %s", c.requests, took, c.shortest, c.longest)
				}
			})
		})
	}
}

func TestClientsThatLeaveDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := NewRefusals()
		for range refusalBurst {
			refusals.Wait(t.Context())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		refusals.Wait(ctx)
		if took := time.Since(begun); took != 0 || len(refusals.waiting) != 0 {
			t.Errorf("a refusal whose client had left waited for %s; %d wait", took, len(refusals.waiting))
		}
	})
}
