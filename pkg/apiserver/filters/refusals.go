// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"context"

	"golang.org/x/time/rate"
)

const (
	// refusalsPerSecond is the rate of responses with the code 40100 (not authenticated) to all clients together.
	refusalsPerSecond = 100
	// refusalBurst is the burst size of the rate limiter for responses with the code 40100 (not authenticated).
	refusalBurst = 100
	// waitingRefusals bounds the number of responses with the code 40100 that are delayed at the same time. Further
	// responses are sent without a delay.
	waitingRefusals = 256
)

// Refusals is a limiter that delays responses with the code 40100 (not authenticated). Without the delay, clients that
// send invalid tokens in a loop would use processor time that users need. The limits for concurrent requests do not
// count a request while its response is delayed.
type Refusals struct {
	limiter *rate.Limiter
	waiting chan struct{}
}

// NewRefusals returns a limiter with the default limits. The limiter delays responses with the code 40100 (not
// authenticated).
func NewRefusals() *Refusals {
	return &Refusals{rate.NewLimiter(refusalsPerSecond, refusalBurst), make(chan struct{}, waitingRefusals)}
}

// Wait delays a response with the code 40100 (not authenticated). It returns when the caller may send the response, or
// when ctx ends. If too many responses are already delayed, Wait returns at once, and the caller sends the response
// without a delay.
func (r *Refusals) Wait(ctx context.Context) {
	select {
	case r.waiting <- struct{}{}:
	default:
		return
	}
	defer func() { <-r.waiting }()
	_ = r.limiter.Wait(ctx) // The refusal is sent also if the wait fails.
}
