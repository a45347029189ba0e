// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	httpstreamspdy "k8s.io/streaming/pkg/httpstream/spdy"
)

func execServer(t *testing.T, run func(map[string]httpstream.Stream)) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io"}); err != nil {
			return
		}
		streams := make(chan httpstream.Stream)
		conn := httpstreamspdy.NewResponseUpgrader().UpgradeResponse(w, r,
			func(s httpstream.Stream, replied <-chan struct{}) error {
				go func() {
					<-replied
					streams <- s
				}()
				return nil
			})
		if conn == nil {
			return
		}
		defer func() { _ = conn.Close() }()
		byType := map[string]httpstream.Stream{}
		for len(byType) < 2 { // the error stream and stdout
			select {
			case s := <-streams:
				byType[s.Headers().Get(corev1.StreamType)] = s
			case <-conn.CloseChan():
				return
			}
		}
		run(byType)
	}
}

type countingWriter struct {
	wait  time.Duration
	bytes int
}

// Write counts the bytes.
func (w *countingWriter) Write(p []byte) (int, error) {
	time.Sleep(w.wait)
	w.bytes += len(p)
	return len(p), nil
}

// TestExecDeliversEverything verifies that the limits for frames do not affect a correct server. Exec must deliver the
// complete output of a command, even if the output is large and the caller reads slowly.
func TestExecDeliversEverything(t *testing.T) {
	const pieces, size = 200, 32 << 10
	c := upgradingClient(t, execServer(t, func(streams map[string]httpstream.Stream) {
		for range pieces {
			if _, err := streams[corev1.StreamTypeStdout].Write(make([]byte, size)); err != nil {
				return
			}
		}
		_ = streams[corev1.StreamTypeStdout].Close()
		_, _ = streams[corev1.StreamTypeError].Write([]byte(`{"status":"Success"}`))
		_ = streams[corev1.StreamTypeError].Close()
	}))
	out := &countingWriter{wait: time.Millisecond}
	if err := c.Exec(t.Context(), execCall(), remotecommand.StreamOptions{Stdout: out}); err != nil {
		t.Fatal(err)
	}
	if out.bytes != pieces*size {
		t.Errorf("%d bytes of %d have arrived", out.bytes, pieces*size)
	}
}

// TestHostileFrames verifies that Exec returns ErrTooLarge if a cluster sends a very large frame or an endless error
// stream.
func TestHostileFrames(t *testing.T) {
	for name, test := range map[string]struct {
		run  func(map[string]httpstream.Stream)
		want error
	}{
		"endless error stream": {func(streams map[string]httpstream.Stream) {
			for {
				if _, err := streams[corev1.StreamTypeError].Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}, ErrTooLarge},
		"large frame": {func(streams map[string]httpstream.Stream) {
			_, _ = streams[corev1.StreamTypeStdout].Write(make([]byte, maxFrameBytes+1))
			time.Sleep(10 * time.Second)
		}, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			c := upgradingClient(t, execServer(t, test.run))
			out := &countingWriter{}
			began := time.Now()
			err := c.Exec(t.Context(), execCall(), remotecommand.StreamOptions{Stdout: out})
			if !errors.Is(err, test.want) || time.Since(began) > 5*time.Second {
				t.Errorf("%v after %s, with %d bytes of output", err, time.Since(began), out.bytes)
			}
		})
	}
}

func frame(first uint32, payload int) []byte {
	header := binary.BigEndian.AppendUint32(nil, first)
	header = binary.BigEndian.AppendUint32(header, uint32(payload)) //nolint:gosec // it is small
	return append(header, make([]byte, payload)...)
}

func control(kind uint32, payload int) []byte { return frame(0x80030000|kind, payload) }

func TestFrames(t *testing.T) {
	for name, test := range map[string]struct {
		frames []byte
		passed bool
	}{
		"data":                       {frame(1, maxFrameBytes), true},
		"large data":                 {frame(1, maxFrameBytes+1), false},
		"data of no stream":          {frame(5, 1), false},
		"data of the server":         {frame(2, 1), false},
		"replies":                    {slices.Concat(control(2, 20), control(2, 20)), true},
		"more replies than requests": {bytes.Repeat(control(2, 20), 3), false},
		"large reply":                {control(2, maxReplyBytes+1), false},
		"new stream":                 {control(1, 20), false},
		"further headers":            {control(8, 20), false},
		"ping, settings":             {slices.Concat(control(6, 4), control(4, 12)), true},
		"large settings":             {control(4, maxControlBytes+1), false},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			go func() {
				_, _ = far.Write(test.frames)
				_ = far.Close()
			}()
			c := newFrameConn(t.Context(), near)
			c.started, c.requested = true, 2
			c.reset(1) // no stream reads
			got, err := io.ReadAll(c)
			if passed := err == nil && bytes.Equal(got, test.frames); passed != test.passed {
				t.Errorf("%d bytes of %d, and %v", len(got), len(test.frames), err)
			}
		})
	}
}

// TestUnreadFrames verifies that a frameConn receives at most maxQueuedBytes of data until a stream is read or reset.
func TestUnreadFrames(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	const size = 32 << 10
	sent := make(chan int, 100)
	go func() {
		for i := range 100 {
			if _, err := far.Write(frame(1, size)); err != nil {
				return
			}
			sent <- i
		}
	}()
	c := newFrameConn(t.Context(), near)
	c.started, c.requested = true, 1
	go func() { _, _ = io.Copy(io.Discard, c) }()
	received := func() (n int) {
		for {
			select {
			case n = <-sent:
			case <-time.After(300 * time.Millisecond):
				return n + 1
			}
		}
	}
	if n := received(); n != maxQueuedBytes/size {
		t.Errorf("%d frames are received", n)
	}
	c.countRead(1, size)
	if n := received(); n != maxQueuedBytes/size+1 {
		t.Errorf("%d frames are received after the client has read one", n)
	}
	c.reset(1)
	if n := received(); n != 100 {
		t.Errorf("%d frames are received after the stream was reset", n)
	}
}

// TestClosedFrames verifies that closing a connection ends a blocked Read.
func TestClosedFrames(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	c := newFrameConn(t.Context(), near)
	c.started, c.unreadTotal = true, maxQueuedBytes
	ended := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	_ = c.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("there is no error")
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits")
	}
}

// silentConnection is a connection to a server that does not reply to a new stream. The SPDY library gives up after
// 30 s, which a test with a real server would have to wait for.
type silentConnection struct {
	httpstream.Connection

	called chan struct{}
	giveUp chan struct{}
}

func (c *silentConnection) CreateStream(http.Header) (httpstream.Stream, error) {
	c.called <- struct{}{}
	<-c.giveUp
	return nil, errors.New("no reply")
}

// TestEndDuringCreation verifies that awaitCreation waits until a running call of CreateStream returns. Until then, the
// call may use the memory of the connection. After awaitCreation has begun, new calls of CreateStream fail.
func TestEndDuringCreation(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	silent := &silentConnection{called: make(chan struct{}), giveUp: make(chan struct{})}
	conn := newFrameConn(t.Context(), near)
	limited := &limitedConnection{Connection: silent, conn: conn}
	go func() { _, _ = limited.CreateStream(http.Header{}) }()
	<-silent.called
	ended := make(chan struct{})
	go func() {
		conn.awaitCreation()
		close(ended)
	}()
	<-conn.ctx.Done()
	if _, err := limited.CreateStream(http.Header{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a stream at the end: %v", err)
	}
	select {
	case <-ended:
		t.Error("the end does not wait")
	case <-time.After(50 * time.Millisecond):
	}
	close(silent.giveUp)
	<-ended
}
