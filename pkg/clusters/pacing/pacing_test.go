// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pacing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	share = 1.0 / 4
	burst = time.Second
)

// source is a response of a cluster. Each call of the method Read first calls the function in the field read.
type source struct {
	io.Reader

	read func()
}

func (s source) Read(p []byte) (int, error) {
	s.read()
	return s.Reader.Read(p[:min(len(p), 1<<10)])
}

func (source) Close() error { return nil }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat(" ", len(p))), nil }

func consume(t *testing.T, from io.Reader, n int, work time.Duration) {
	t.Helper()
	p := make([]byte, 1<<10)
	for range n {
		if _, err := from.Read(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(work)
	}
}

// TestShare verifies the limit of the processor time for the responses of a cluster. The limit applies after a burst.
// The time that a goroutine waits for the network does not count.
func TestShare(t *testing.T) {
	for name, tc := range map[string]struct {
		network, work, want time.Duration
	}{
		"a burst":         {0, burst / 1000, burst},
		"much work":       {0, 2 * burst / 1000, time.Duration(float64(burst) / share)},
		"a slow network":  {time.Second, time.Microsecond, 1000*time.Second + burst/1000},
		"long waits":      {0, time.Second, burst + time.Duration(1000*float64(time.Second))},
		"work and a wait": {10 * time.Millisecond, 2 * burst / 1000, 10*time.Second + 2*burst},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turn := New(share, burst).Turn(t.Context())
				body := turn.Body(source{endless{}, func() { time.Sleep(tc.network) }})
				began := time.Now()
				consume(t, body, 1000, tc.work)
				turn.Leave()
				if took := time.Since(began); took < tc.want*9/10 || took > tc.want*11/10 {
					t.Errorf("it took %s, want %s", took, tc.want)
				}
			})
		})
	}
}

// TestResponsesShareThePace verifies that all responses of a cluster share one Pace, which limits the processor time:
//   - A new response waits if earlier responses have used too much processor time.
//   - IsIdle returns true only if no response has used processor time for a while.
func TestResponsesShareThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := New(share, burst), time.Now()
		if !p.IsIdle() {
			t.Error("a new pace is not idle")
		}
		for range 2 * burst / maxTurnCharge { // twice the burst
			p.Count(maxTurnCharge)
		}
		turn := p.Turn(t.Context())
		if err := turn.Enter(); err != nil || time.Since(began) < time.Duration(float64(burst)/share) {
			t.Errorf("the next response is read after %s: %v", time.Since(began), err)
		}
		turn.Leave()
		time.Sleep(burst)
		if p.IsIdle() {
			t.Error("it is idle soon after work")
		}
		time.Sleep(time.Duration(float64(burst) / share))
		if !p.IsIdle() {
			t.Error("it does not become idle")
		}
		for range 1000 {
			p.Count(1)
		}
		if p.work.Tokens() > float64((burst - time.Millisecond).Microseconds()) {
			t.Error("short work does not count")
		}
		p.Count(time.Hour)
		if p.work.Tokens() > 0 {
			t.Error("work longer than the burst does not count")
		}
	})
}

// TestLongData verifies that a goroutine with much data lets other goroutines process data after a short time.
func TestLongData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, time.Hour)
		p.places = make(chan struct{}, 1)
		data := packed(t, strings.Repeat(" ", 1<<20))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			turn := p.Turn(ctx)
			defer turn.Leave()
			consume(t, turn.Body(source{bytes.NewReader(data), func() {}}), 1000, time.Millisecond)
		}()
		time.Sleep(time.Millisecond + time.Microsecond)
		began, other := time.Now(), p.Turn(t.Context())
		if err := other.Enter(); err != nil || time.Since(began) > maxTurn+time.Millisecond {
			t.Errorf("another goroutine waits for %s: %v", time.Since(began), err)
		}
		other.Leave()
		<-done
		cancel()
	})
}

// TestTurns verifies the limits of the number of goroutines that process data of clusters at the same time:
//   - The goroutines for one cluster can use at most half of the total limit.
//   - The goroutines for all clusters together cannot exceed the total limit.
//   - A goroutine that waits for the network does not count towards the limits.
//   - A goroutine whose request was cancelled does not count towards the limits.
func TestTurns(t *testing.T) {
	defer func(before chan struct{}) { processing = before }(processing)
	processing = make(chan struct{}, 4)
	var turns []*Turn
	enter := func(p *Pace, want bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if !want {
			time.AfterFunc(10*time.Millisecond, cancel)
		}
		defer cancel()
		turn := p.Turn(ctx)
		if err := turn.Enter(); (err == nil) != want {
			t.Errorf("with %d turns: %v", len(turns), err)
		} else if err == nil {
			turns = append(turns, turn)
		}
	}
	first, second, third := newWithLargeBurst(), newWithLargeBurst(), newWithLargeBurst()
	for _, p := range []*Pace{first, second} {
		for range 2 {
			enter(p, true)
		}
		enter(p, false)
	}
	enter(third, false)
	if len(third.places) > 0 {
		t.Error("a goroutine that gave up occupies a place")
	}
	body := turns[0].Body(source{endless{}, func() {
		enter(third, true)
		turns[len(turns)-1].Leave()
	}})
	turns[0].context = t.Context()
	if _, err := body.Read(make([]byte, 1)); err != nil || turns[0].began.IsZero() {
		t.Errorf("after the data has arrived: %v, in a turn: %t", err, !turns[0].began.IsZero())
	}
	enter(third, false)
	for _, turn := range turns {
		turn.Leave()
		turn.Leave()
	}
	if len(processing)+len(first.places)+len(second.places)+len(third.places) > 0 {
		t.Error("places are still occupied")
	}
	first.Count(time.Hour)
	first.Count(time.Hour)
	enter(first, false)
	if len(processing)+len(first.places) > 0 {
		t.Error("a goroutine without processor time occupies a place")
	}
}

func newWithLargeBurst() *Pace { return New(1, time.Hour) }

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBody verifies the type Body, which reads a response of a cluster:
//   - A Body returns the text of plain responses and of compressed responses.
//   - The time that a Body waits for the network does not count as processor time.
//   - The wait does not count even if compressed data decompresses to an empty text.
func TestBody(t *testing.T) {
	text := strings.Repeat(`{"a":"b"}`, 10_000)
	empty := bytes.Repeat(packed(t, ""), 10_000)
	for name, tc := range map[string]struct {
		sent  []byte
		want  string
		reads int
		err   error
	}{
		"plain text":          {[]byte(text), text, len(text) >> 10, nil},
		"compressed text":     {packed(t, text), text, 1, nil},
		"several files":       {append(packed(t, text), packed(t, "x")...), text + "x", 1, nil},
		"compressed nothing":  {empty, "", len(empty) >> 10, nil},
		"nothing":             {nil, "", 1, nil},
		"one byte":            {[]byte("1"), "1", 1, nil},
		"incomplete data":     {packed(t, text)[:100], "", 1, io.ErrUnexpectedEOF},
		"an incomplete head":  {[]byte(gzipMagic), "", 1, io.ErrUnexpectedEOF},
		"a malformed head":    {[]byte(gzipMagic + strings.Repeat("x", 20)), "", 1, gzip.ErrHeader},
		"text after the data": {append(packed(t, ""), 'x'), "", 1, io.ErrUnexpectedEOF},
	} {
		turn, reads := newWithLargeBurst().Turn(t.Context()), 0
		body := turn.Body(source{bytes.NewReader(tc.sent), func() {
			reads++
			if !turn.began.IsZero() {
				t.Errorf("%s: a read from the network is part of a turn", name)
			}
		}})
		got, err := io.ReadAll(body)
		if turn.began.IsZero() && err == nil {
			t.Errorf("%s: the data is not processed in a turn", name)
		}
		turn.Leave()
		if !errors.Is(err, tc.err) || (err == nil && string(got) != tc.want) || reads < tc.reads {
			t.Errorf("%s: %d bytes after %d reads, %v", name, len(got), reads, err)
		}
	}
}

// TestEndedResponses verifies that a read from a response stops waiting when the context of the request ends. It also
// verifies that a nil Turn, which means no limit, never waits.
func TestEndedResponses(t *testing.T) {
	p := newWithLargeBurst()
	p.places <- struct{}{}
	for len(p.places) < cap(p.places) {
		p.places <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	body := p.Turn(ctx).Body(source{endless{}, cancel})
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes, %v", n, err)
	}
	var none *Turn
	if err := none.Enter(); err != nil {
		t.Error(err)
	}
	none.Leave()
}
