// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubevision-io/kubevision/pkg/circuitbreaker"
)

type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBreaker verifies the circuit breaker for a cluster that does not respond:
//   - After several failures, a pause begins. During the pause, requests fail without being sent.
//   - After the pause, one request is sent. If the request fails, another pause begins.
//   - If the cluster responds, all further requests are sent.
func TestBreaker(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Now())
	sent, fails := 0, true
	b := newBreaker(now, maxPause, answering(func(*http.Request) (*http.Response, error) {
		sent++
		if fails {
			return nil, errors.New("connection refused")
		}
		return httptest.NewRecorder().Result(), nil
	}))
	try := func(ctx context.Context) error {
		response, err := b.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	for range 5 {
		if err := try(t.Context()); !errors.Is(err, ErrNotConnected) {
			t.Fatalf("a request without an answer: %v", err)
		}
	}
	if sent != circuitbreaker.After {
		t.Errorf("%d requests were sent, want %d", sent, circuitbreaker.After)
	}
	now.SetTime(now.Now().Add(circuitbreaker.FirstPause))
	for range 3 {
		_ = try(t.Context())
	}
	if sent != circuitbreaker.After+1 {
		t.Errorf("%d requests were sent after the pause, want one", sent-circuitbreaker.After)
	}
	fails = false
	if err := try(t.Context()); err == nil {
		t.Error("the pause after another failure is not longer")
	}
	now.SetTime(now.Now().Add(2 * circuitbreaker.FirstPause))
	for range 3 {
		if err := try(t.Context()); err != nil {
			t.Errorf("the cluster is back: %v", err)
		}
	}
}

// TestBreakerCancelled verifies that the circuit breaker does not count cancelled requests as failures.
func TestBreakerCancelled(t *testing.T) {
	sent := 0
	b := newBreaker(clocktesting.NewFakePassiveClock(time.Now()), maxPause,
		answering(func(r *http.Request) (*http.Response, error) {
			sent++
			return nil, r.Context().Err()
		}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range circuitbreaker.After + 1 {
		if response, err := b.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)); err == nil {
			t.Error("a cancelled request succeeded", response.Body.Close())
		}
	}
	if sent != circuitbreaker.After+1 {
		t.Errorf("%d requests were sent", sent)
	}
}

// TestBreakerManyAtOnce verifies that many concurrent failures do not lengthen the first pause of the circuit breaker.
// During the pause, requests fail without being sent. After the pause, only one request is sent as a trial.
func TestBreakerManyAtOnce(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Now())
	arrived, release := make(chan struct{}), make(chan error)
	b := newBreaker(now, maxPause, answering(func(*http.Request) (*http.Response, error) {
		arrived <- struct{}{}
		return httptest.NewRecorder().Result(), <-release
	}))
	try := func() error {
		response, err := b.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	const many = 20
	outcomes := make(chan error, many)
	for range many {
		go func() { outcomes <- try() }()
	}
	for range many {
		<-arrived
	}
	for range many {
		release <- errors.New("connection reset by peer")
	}
	for range many {
		if err := <-outcomes; !errors.Is(err, ErrNotConnected) {
			t.Errorf("%v, want %v", err, ErrNotConnected)
		}
	}
	if err := try(); !errors.Is(err, ErrNotConnected) {
		t.Errorf("right after that: %v, want %v", err, ErrNotConnected)
	}
	now.SetTime(now.Now().Add(circuitbreaker.FirstPause))
	go func() { outcomes <- try() }()
	select {
	case <-arrived:
		if err := try(); !errors.Is(err, ErrNotConnected) { // only one probe is sent
			t.Errorf("while one request is tried: %v, want %v", err, ErrNotConnected)
		}
		release <- nil
		if err := <-outcomes; err != nil {
			t.Errorf("after the first pause: %v", err)
		}
	case err := <-outcomes:
		t.Errorf("after the first pause nothing was sent: %v", err)
	}
}

// TestBounded verifies the limits for the duration and the size of responses:
//   - Most responses have a time limit and a size limit.
//   - A watch of a user has only a size limit.
//   - The lists of the read cache, and all watches of the ServiceAccount kubevision-reader, have no limit.
func TestBounded(t *testing.T) {
	const limit = 100
	b := &boundedRoundTripper{timeout: 20 * time.Millisecond, bytes: limit,
		next: answering(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/slow" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			endless := r.URL.Query().Get("watch") != "" || isForCache(r.Context())
			if _, bounded := r.Context().Deadline(); bounded == endless {
				t.Errorf("%s has a deadline: %t", r.URL, bounded)
			}
			size := limit
			if r.URL.Path == "/large" {
				size++
			}
			return &http.Response{Body: io.NopCloser(strings.NewReader(strings.Repeat("x", size)))}, nil
		})}
	verdicts, cache := withReader(t.Context(), false), withReader(t.Context(), true)
	for _, tc := range []struct {
		ctx    context.Context // of the account that sends the request
		target string
		want   error
	}{
		{t.Context(), "/", nil},
		{t.Context(), "/large", ErrTooLarge},
		{t.Context(), "/slow", context.DeadlineExceeded},
		{t.Context(), "/watch?watch=true", nil},
		{t.Context(), "/large?watch=true", ErrTooLarge},
		{verdicts, "/large", ErrTooLarge},
		{verdicts, "/large?watch=true", nil},
		{cache, "/large", nil},
	} {
		response, err := b.RoundTrip(httptest.NewRequestWithContext(tc.ctx, http.MethodGet, tc.target, nil))
		if err == nil {
			_, err = io.ReadAll(response.Body)
			err = errors.Join(err, response.Body.Close())
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.target, err, tc.want)
		}
	}
}
