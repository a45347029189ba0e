// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"context"

	"golang.org/x/time/rate"
)

const (
	// refusalsPerSecond is the rate of the refusals of all strangers, refusalBurst the number of them that are sent at
	// once.
	refusalsPerSecond = 100
	refusalBurst      = 100
	// waitingRefusals bounds the refusals that wait. The others are sent at once.
	waitingRefusals = 256
)

// Refusals paces the responses to clients that are not authenticated (40100). Such a response costs the client only a
// request: clients that try forged tokens in a loop would otherwise occupy the processors and slow down users. A
// refusal waits after the request has left all other limits.
type Refusals struct {
	limiter *rate.Limiter
	waiting chan struct{}
}

// NewRefusals returns the pace of one replica.
func NewRefusals() *Refusals {
	return &Refusals{rate.NewLimiter(refusalsPerSecond, refusalBurst), make(chan struct{}, waitingRefusals)}
}

// Wait returns when the next refusal may be sent, when too many wait, or when the context ends.
func (r *Refusals) Wait(ctx context.Context) {
	select {
	case r.waiting <- struct{}{}:
	default:
		return
	}
	defer func() { <-r.waiting }()
	_ = r.limiter.Wait(ctx) // whatever ends the wait, the refusal is sent
}
