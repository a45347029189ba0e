// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// Stream is one open stream: a WebSocket, or a response with server-sent events.
type Stream struct {
	manager   *Manager
	handler   *Handler
	transport transport
	verb      string
	// name is the name of the user.
	name    string
	account *budget.Account
	// depends lists the clusters whose RBAC objects determine the rights of the caller.
	depends []Cluster

	// done is a context that ends with the stream. Its cause is an *End.
	done   context.Context //nolint:containedctx // it ends with the stream, not with a request
	cancel context.CancelCauseFunc
	// used is the Unix time of the last message in either direction, in nanoseconds.
	used atomic.Int64
	// serving is used to wait until Handler.Serve has returned.
	serving sync.WaitGroup
	// readDone is a channel that is closed after the last message from the client was read.
	readDone chan struct{}
	// closed is a channel that is closed after the last message to the client was sent or has failed.
	closed chan struct{}

	// writing serializes writes.
	writing sync.Mutex

	mu      sync.Mutex
	user    user.Info
	expires time.Time
	timers  []*time.Timer
	closing sync.Once

	checks checkState
}

// User returns the user of the stream. Renew can replace the user.
func (s *Stream) User() user.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// Account returns the budget.Account for the memory of the stream. It is closed when the stream ends.
func (s *Stream) Account() *budget.Account { return s.account }

// Work waits until the processor time of the user of the stream is within the limit (see budget.Account.Do). It then
// calls work(), which processes a message, and returns the error of work(). The processor time of the call is charged
// to the user.
func (s *Stream) Work(work func() error) error {
	var failed error
	if err := s.account.Do(s.done, func() { failed = work() }); err != nil {
		return envelope.OutOfTime(err)
	}
	return failed
}

// Context returns a context that ends with the stream. Its cause is an *End.
func (s *Stream) Context() context.Context { return s.done }

// Subprotocol returns the negotiated subprotocol, or an empty string.
func (s *Stream) Subprotocol() string { return s.transport.subprotocol() }

// Renew stores the user information and the expiry of a new token that the client has sent. It returns an error if the
// token belongs to another user than the previous token.
func (s *Stream) Renew(u user.Info, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.GetName() != s.user.GetName() || u.GetUID() != s.user.GetUID() {
		return NewEnd(SessionEnded, "the token is of another user")
	}
	s.user, s.expires = u, expires
	return nil
}

// SendText sends a text message. If data is not valid UTF-8, it ends the stream and returns an error. It also returns
// an error if the stream has ended.
func (s *Stream) SendText(data []byte) error {
	if !utf8.Valid(data) {
		err := NewEnd(Failed, "the message is not UTF-8")
		s.End(err)
		return err
	}
	return s.send(false, data)
}

// SendBinary sends a binary message. It returns an error if the stream has ended.
func (s *Stream) SendBinary(data []byte) error { return s.send(true, data) }

func (s *Stream) send(binary bool, data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.done.Err() != nil {
		return context.Cause(s.done)
	}
	if err := s.transport.write(binary, data); err != nil {
		if s.done.Err() == nil {
			s.End(failedWrite(err))
		}
		return context.Cause(s.done)
	}
	s.noted(directionOut, len(data))
	return nil
}

func failedWrite(err error) *End {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return NewEnd(Slow, "the client does not read")
	}
	return NewEnd(ClientClosed, "the client is gone")
}

func (s *Stream) noted(direction string, bytes int) {
	s.used.Store(time.Now().UnixNano())
	frames.WithLabelValues(s.verb, direction).Inc()
	frameBytes.WithLabelValues(s.verb, direction).Add(float64(bytes))
}

// End ends the stream. It starts a goroutine that sends the last messages and closes the connection. Only the first
// call has an effect.
func (s *Stream) End(end *End) {
	s.closing.Do(func() {
		s.cancel(end)
		// Shorten the deadline of a message in progress, because the client may not be reading.
		s.transport.hurry()
		go s.close(end)
	})
}

// close sends the last messages of the stream, and closes the connection. If this takes too long on a WebSocket, a
// timer closes the network connection.
func (s *Stream) close(end *End) {
	defer close(s.closed)
	if forced, ok := s.transport.(interface{ netConn() net.Conn }); ok {
		later := time.AfterFunc(2*endTimeout, func() { _ = forced.netConn().Close() })
		defer later.Stop()
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	var last []byte
	if s.handler.Last != nil {
		last = s.handler.Last(*end)
	}
	s.transport.close(last, end, s.readDone)
}

// run runs the handler and reads messages until the stream has ended.
func (s *Stream) run() {
	defer s.manager.remove(s)
	if s.handler.Serve != nil {
		s.serving.Go(func() {
			defer s.recovered()
			s.End(EndOf(s.handler.Serve(s.done, s)))
		})
	}
	s.read()
	close(s.readDone)
	s.serving.Wait()
}

// Go calls f in a new goroutine. If f panics, the stream ends, and the server continues.
func (s *Stream) Go(f func()) {
	go func() {
		defer s.recovered()
		f()
	}()
}

// recovered must be deferred. It ends the stream after a panic.
func (s *Stream) recovered() {
	if p := recover(); p != nil { //nolint:revive // every caller defers this method
		klog.FromContext(s.done).Error(nil, "Observed a panic", "panic", p)
		s.End(NewEnd(Failed, "the stream has failed"))
	}
}

// read reads messages until the connection is closed. After the end of the stream, it discards messages until the
// client sends a close frame.
func (s *Stream) read() {
	defer s.recovered()
	for {
		wait := s.manager.timing.pong
		if s.done.Err() != nil {
			wait = endTimeout
		}
		message, err := s.transport.read(wait)
		if err != nil {
			s.End(failedRead(err))
			return
		}
		if s.done.Err() != nil {
			continue
		}
		s.noted(directionIn, len(message.Data))
		if s.handler.Received == nil {
			continue
		}
		if err := s.handler.Received(s.done, s, message); err != nil {
			s.End(EndOf(err))
		}
	}
}

func failedRead(err error) *End {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return NewEnd(TooLarge, "a message is too large")
	case ok && timeout.Timeout():
		return NewEnd(Silent, "the client does not answer")
	case websocket.IsCloseError(err, websocket.CloseProtocolError, websocket.CloseInvalidFramePayloadData):
		return NewEnd(Malformed, "the client has sent a malformed frame")
	default:
		return NewEnd(ClientClosed, "the client is gone")
	}
}

// start starts the timers for pings, time limits and checks.
func (s *Stream) start() {
	s.used.Store(time.Now().UnixNano())
	always := func(interval time.Duration) func() time.Duration { return func() time.Duration { return interval } }
	s.every(always(s.manager.timing.ping), s.ping)
	if s.handler.MaxTime > 0 {
		s.every(always(s.handler.MaxTime), func() {
			s.End(NewEnd(TooLong, "the stream has reached its maximum duration"))
		})
	}
	if s.handler.IdleTime > 0 {
		s.every(always(s.handler.IdleTime/4), s.endIdle) //nolint:mnd // it ends at most a quarter late
	}
	s.every(s.untilRecheck, s.recheck)
}

func (s *Stream) untilRecheck() time.Duration {
	next := s.manager.recheckEvery(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := time.Until(s.expires); left > 0 { // An expired credential was rejected by the check at the beginning.
		next = min(next, left)
	}
	return next
}

// every calls f() repeatedly until the stream ends. Before each call, it calls interval() and waits for the returned
// duration.
func (s *Stream) every(interval func() time.Duration, f func()) {
	first := interval()
	s.mu.Lock()
	defer s.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(first, func() {
		defer s.recovered()
		if s.done.Err() != nil {
			return
		}
		f()
		next := interval()
		s.mu.Lock()
		defer s.mu.Unlock()
		timer.Reset(next)
	})
	s.timers = append(s.timers, timer)
}

func (s *Stream) ping() {
	if !s.writing.TryLock() { // a message in progress has the effect of a ping
		return
	}
	defer s.writing.Unlock()
	if s.done.Err() != nil { // A response must not be used after its handler has returned.
		return
	}
	if err := s.transport.ping(); err != nil && s.done.Err() == nil {
		s.End(failedWrite(err))
	}
}

func (s *Stream) endIdle() {
	if time.Since(time.Unix(0, s.used.Load())) >= s.handler.IdleTime {
		s.End(NewEnd(Idle, "nothing was sent or received for too long"))
	}
}
