// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/circuitbreaker"
)

const (
	// maxPause bounds the time for which requests to an unreachable member cluster fail without being sent.
	maxPause = 15 * time.Second
	// maxHostPause is the longest pause between two attempts to reach a host cluster that does not respond. During a
	// pause, all requests fail immediately. The pause is short, because every request to KubeVision needs the host
	// cluster.
	maxHostPause = 2 * time.Second
)

// breaker is a circuit breaker for one cluster: while the cluster is unreachable, requests fail at once instead of
// after a timeout. A response with any status proves that the cluster is reachable.
type breaker struct {
	next    http.RoundTripper
	circuit *circuitbreaker.Breaker
}

func newBreaker(c clock.PassiveClock, pause time.Duration, next http.RoundTripper) *breaker {
	return &breaker{next: next, circuit: &circuitbreaker.Breaker{Clock: c, MaxPause: pause}}
}

// RoundTrip sends the request. If the circuit breaker is open, it returns an error without sending the request. All
// errors wrap ErrNotConnected.
func (b *breaker) RoundTrip(r *http.Request) (*http.Response, error) {
	leave, err := b.circuit.Enter()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	outcome := circuitbreaker.Unknown
	defer func() { leave(outcome) }()
	response, err := b.next.RoundTrip(r)
	outcome = outcomeOf(r.Context(), err)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	return response, nil
}

func outcomeOf(ctx context.Context, err error) circuitbreaker.Outcome {
	switch {
	case err == nil, isServerResponse(err):
		return circuitbreaker.Answered
	// The request was cancelled, which does not mean that the cluster is unreachable.
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(context.Cause(ctx), ErrImpatient):
		return circuitbreaker.Unknown
	default:
		return circuitbreaker.Failed
	}
}
