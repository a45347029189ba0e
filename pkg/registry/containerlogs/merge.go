// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
)

const (
	// maxSources bounds the number of containers whose logs are merged.
	maxSources = 50
	// sourceBytes is the number of bytes of memory for one open log: its buffer, the buffer of the connection, and a
	// line.
	sourceBytes = 3 * (maxLine + maxStamp)
	// rescanInterval is the time between two requests for the list of Pods. Each request finds the Pods that were
	// created since the last one.
	rescanInterval = 3 * time.Second
)

// event is a line of a log. If err is not nil, event is an error of one container instead. The logs of the other
// containers continue after an error.
type event struct {
	line Line
	err  error
}

// byTime reads several logs that are not followed, merges their lines by time, and calls emit with each line. It closes
// the logs.
func byTime(sources []*source, opened []io.ReadCloser, emit func(event) error) error {
	defer func() {
		for _, o := range opened {
			_ = o.Close()
		}
	}()
	readers, next := make([]*lineReader, len(sources)), make([]*Line, len(sources))
	for i, o := range opened {
		readers[i] = newLineReader(o)
		if err := advance(sources[i], readers[i], &next[i]); err != nil {
			return err
		}
	}
	for {
		first := -1
		for i, line := range next {
			if line != nil && (first < 0 || line.at.Before(next[first].at)) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		if err := emit(event{line: *next[first]}); err != nil {
			return err
		}
		if err := advance(sources[first], readers[first], &next[first]); err != nil {
			return err
		}
	}
}

// advance reads the next line of a log, and stores it in *into. At the end of the log, it stores nil. It omits lines
// that are older than s.options.since.
func advance(s *source, from *lineReader, into **Line) error {
	for {
		line, err := from.next()
		if errors.Is(err, io.EOF) {
			*into = nil
			return nil
		}
		if err != nil {
			return err
		}
		if line.at.Before(s.options.since) {
			continue
		}
		line.Pod, line.Container = s.pod, s.container
		*into = &line
		return nil
	}
}

// follower merges the followed logs of several containers. If the client reads slowly, emit blocks, and the follower
// reads no further lines.
type follower struct {
	set  *selection
	emit func(event) error

	running sync.WaitGroup
	events  chan event
	mu      sync.Mutex
	// known contains a key for each container whose log was already requested. The key consists of the UID of the Pod
	// and the name of the container.
	known map[string]bool
	// slots is a semaphore. Its capacity bounds the number of open logs.
	slots chan struct{}
}

// follow calls f.emit with each line of the given logs as it arrives, and also with the lines of Pods that are created
// later. It returns when ctx ends, or when f.emit returns an error.
func (f *follower) follow(ctx context.Context, logs []*source) error {
	ctx, cancel := context.WithCancel(ctx)
	defer f.running.Wait()
	defer cancel()
	f.events, f.slots = make(chan event), make(chan struct{}, maxSources)
	f.start(ctx, logs)
	f.running.Go(func() {
		_ = fanout.Safely(ctx, func() error {
			f.rescanPeriodically(ctx)
			return nil
		})
	})
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-f.events:
			if err := f.emit(e); err != nil {
				return err
			}
		}
	}
}

// rescanPeriodically calls rescan until ctx ends. Calls do not overlap. If they did, an older list of Pods could arrive
// after a newer one, and the logs of a new container would be followed twice.
func (f *follower) rescanPeriodically(ctx context.Context) {
	ticker := time.NewTicker(rescanInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.rescan(ctx)
		}
	}
}

// rescan lists the Pods. It starts to follow the logs of new containers from their beginning.
func (f *follower) rescan(ctx context.Context) {
	found, err := f.set.sources(ctx)
	if err != nil {
		if refusal := envelope.As(err); refusal.Code < dashboardv1alpha1.CodeInternal && ctx.Err() == nil {
			f.send(ctx, event{err: err})
		}
		return
	}
	for _, s := range found {
		s.options.tail, s.options.since = -1, time.Time{}
	}
	f.start(ctx, found)
}

// start starts a goroutine for each of the given logs that was not requested before. A log that has ended is not
// requested again. If maxSources logs are open, start skips the remaining new logs. The next rescan then tries to start
// them again.
func (f *follower) start(ctx context.Context, logs []*source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.known
	f.known = make(map[string]bool, len(logs))
	for _, s := range logs {
		key := s.uid + "/" + s.container
		if before[key] {
			f.known[key] = true
			continue
		}
		select {
		case f.slots <- struct{}{}:
		default: // the logs of deleted Pods may not have ended yet
			continue
		}
		f.known[key] = true
		f.running.Go(func() {
			defer func() { <-f.slots }()
			err := fanout.Safely(ctx, func() error { return f.run(ctx, s) })
			if err != nil && ctx.Err() == nil {
				f.send(ctx, event{line: Line{Pod: s.pod, Container: s.container}, err: err})
			}
		})
	}
}

// run sends the lines of one log to the channel f.events. It returns when the log ends.
func (f *follower) run(ctx context.Context, s *source) error {
	opened, err := s.open(ctx)
	if err != nil {
		return s.failed(ctx, err)
	}
	return s.read(ctx, opened, func(line Line) error {
		if !f.send(ctx, event{line: line}) {
			return context.Cause(ctx)
		}
		return nil
	})
}

// send sends e to the channel f.events. It returns false if ctx ends first.
func (f *follower) send(ctx context.Context, e event) bool {
	select {
	case f.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}
