// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pacing limits the processor time for endless or large responses that caches read from clusters. Without it, a
// hostile cluster could use all processors: it can send compressed data much faster than the data can be processed.
package pacing

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxTurn is the time after which a goroutine that still has data to process lets other goroutines process theirs.
	maxTurn       = 5 * time.Millisecond
	maxTurnCharge = 100 * time.Millisecond
)

// processing bounds the total number of goroutines that process data of clusters at the same time. Half of the
// processors remain for other work.
var processing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) //nolint:gochecknoglobals,mnd // half of them

// Pace limits the processor time for the responses of one cluster.
type Pace struct {
	// places is a semaphore. It bounds the number of goroutines that process data of this cluster concurrently. This
	// limit is half of the limit for all clusters, so that one cluster does not delay the others.
	places chan struct{}
	// work limits the processor time for the responses of the cluster. One token is one microsecond.
	work *rate.Limiter
}

// New returns a Pace that limits the processor time to the given share of one processor on average. The burst is the
// processor time that may be used before this limit applies.
func New(share float64, burst time.Duration) *Pace {
	return &Pace{
		places: make(chan struct{}, max(1, cap(processing)/2)), //nolint:mnd // half of them
		work: rate.NewLimiter(
			rate.Limit(share*float64(time.Second/time.Microsecond)), int(burst.Microseconds()),
		),
	}
}

// IsIdle returns true if p has the same state as a new Pace. It can then be dropped.
func (p *Pace) IsIdle() bool { return len(p.places) == 0 && p.work.Tokens() >= float64(p.work.Burst()) }

// Count adds the given duration to the processor time that the responses of the cluster have used. It does not wait. If
// the limit is exceeded, later calls of Turn.Enter wait.
func (p *Pace) Count(used time.Duration) {
	const up = time.Microsecond - 1 // even the shortest turn counts
	p.work.ReserveN(time.Now(), min(int((used+up).Microseconds()), p.work.Burst()))
}

func (p *Pace) awaitProcessorTime(ctx context.Context) error {
	if err := p.work.Wait(ctx); err != nil {
		return fmt.Errorf("waiting for processor time: %w", err)
	}
	return nil
}

// Turn limits the processor time that one goroutine uses for the data of a cluster. The goroutine may process data only
// between a call of Enter and a call of Leave. A Turn is not safe for concurrent use. A nil Turn does not limit the
// processor time.
type Turn struct {
	pace    *Pace
	context context.Context //nolint:containedctx // it is that of the response
	// began is the time at which Enter succeeded. It is zero before Enter and after Leave.
	began time.Time
}

// Turn returns a Turn, which limits the processor time of one goroutine that processes a response of the cluster. ctx
// is the context of the request. If ctx ends, Turn.Enter stops waiting and returns an error.
func (p *Pace) Turn(ctx context.Context) *Turn { return &Turn{pace: p, context: ctx} }

// Enter begins a turn, which is a period in which the goroutine processes data. It waits until three limits allow the
// turn: the number of goroutines and the processor time for this cluster, and the number of goroutines for all clusters
// together. It returns an error if the context ends first. If a turn has already begun, Enter has no effect.
func (t *Turn) Enter() error {
	if t == nil || !t.began.IsZero() {
		return nil
	}
	if err := acquire(t.context, t.pace.places); err != nil {
		return err
	}
	// Only goroutines that have a place wait for processor time. If all goroutines waited for it, all of them would
	// begin at once after the wait.
	err := t.pace.awaitProcessorTime(t.context)
	if err == nil {
		err = acquire(t.context, processing)
	}
	if err != nil {
		<-t.pace.places
		return err
	}
	t.began = time.Now()
	return nil
}

// Leave ends a turn, which is a period in which the goroutine processes data. The duration of the turn, up to
// maxTurnCharge, counts as processor time of the cluster. If no turn has begun, Leave has no effect.
func (t *Turn) Leave() {
	if t == nil || t.began.IsZero() {
		return
	}
	// Even processing an object of 8 MiB takes less time than maxTurnCharge. A longer turn includes waits.
	t.pace.Count(min(time.Since(t.began), maxTurnCharge))
	t.began = time.Time{}
	<-processing
	<-t.pace.places
}

func (t *Turn) yield() error {
	if t == nil || t.began.IsZero() || time.Since(t.began) < maxTurn {
		return nil
	}
	t.Leave() // lets another goroutine process data
	return t.Enter()
}

func acquire(ctx context.Context, semaphore chan struct{}) error {
	select {
	case semaphore <- struct{}{}:
		return nil
	default:
	}
	select {
	case semaphore <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to process data of a cluster: %w", ctx.Err())
	}
}
