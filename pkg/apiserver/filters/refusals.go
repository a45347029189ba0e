// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"context"

	"golang.org/x/time/rate"
)

const (
	// refusalsPerSecond is the rate of refusals to all unauthenticated clients. refusalBurst is the number of refusals
	// that are sent without delay.
	refusalsPerSecond = 100
	refusalBurst      = 100
	// waitingRefusals bounds the delayed refusals. Refusals beyond it are sent at once.
	waitingRefusals = 256
)

// Refusals paces the responses to clients that are not authenticated (40100). Without a delay, clients that send forged
// tokens in a loop would occupy the processors and slow down users. A delayed refusal does not count against any other
// limit.
type Refusals struct {
	limiter *rate.Limiter
	waiting chan struct{}
}

// NewRefusals returns a Refusals with the limits of one replica.
func NewRefusals() *Refusals {
	return &Refusals{rate.NewLimiter(refusalsPerSecond, refusalBurst), make(chan struct{}, waitingRefusals)}
}

// Wait returns when the next refusal may be sent, at once if too many refusals wait, or when the context ends.
func (r *Refusals) Wait(ctx context.Context) {
	select {
	case r.waiting <- struct{}{}:
	default:
		return
	}
	defer func() { <-r.waiting }()
	_ = r.limiter.Wait(ctx) // The refusal is sent also if the wait fails.
}
