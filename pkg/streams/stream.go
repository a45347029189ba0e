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
)

// Stream is an open socket of a client.
type Stream struct {
	manager *Manager
	handler *Handler
	conn    *websocket.Conn
	verb    string
	// name is that of the user.
	name    string
	account *budget.Account

	// done ends with the stream; its cause is the end.
	done   context.Context //nolint:containedctx // it is the life of the stream, not of a request
	cancel context.CancelCauseFunc
	// used is the time of the last message, in nanoseconds.
	used atomic.Int64
	// serving counts Serve. readDone is closed when nothing is read any more.
	serving  sync.WaitGroup
	readDone chan struct{}

	// writing is held while a message is sent.
	writing sync.Mutex

	mu      sync.Mutex
	user    user.Info
	expires time.Time
	timers  []*time.Timer
	closing sync.Once

	checks checks
}

// User returns the caller.
func (s *Stream) User() user.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// Account counts the memory that the stream holds. It is closed with the stream.
func (s *Stream) Account() *budget.Account { return s.account }

// Context returns a context that ends with the stream. Its cause is an *End.
func (s *Stream) Context() context.Context { return s.done }

// Subprotocol returns the subprotocol that was agreed upon, or an empty string.
func (s *Stream) Subprotocol() string { return s.conn.Subprotocol() }

// Renew replaces the credential of the stream, which must be of the same user.
func (s *Stream) Renew(u user.Info, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.GetName() != s.user.GetName() || u.GetUID() != s.user.GetUID() {
		return NewEnd(SessionEnded, "the token is of another user")
	}
	s.user, s.expires = u, expires
	return nil
}

// SendText sends a text message. Bytes that are not UTF-8 end the stream: clients would close it, too.
func (s *Stream) SendText(data []byte) error {
	if !utf8.Valid(data) {
		err := NewEnd(Failed, "the message is not UTF-8")
		s.End(err)
		return err
	}
	return s.send(websocket.TextMessage, data)
}

// SendBinary sends a binary message.
func (s *Stream) SendBinary(data []byte) error { return s.send(websocket.BinaryMessage, data) }

func (s *Stream) send(kind int, data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.done.Err() != nil {
		return context.Cause(s.done)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // it only stores the time
	if err := s.conn.WriteMessage(kind, data); err != nil {
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

// End ends the stream. Only the first call counts.
func (s *Stream) End(end *End) {
	s.closing.Do(func() {
		s.cancel(end)
		// A message that is being sent to a client that does not read is not waited for.
		_ = s.conn.NetConn().SetWriteDeadline(time.Now().Add(endTimeout))
		go s.close(end)
	})
}

// close sends the last message and the reason, and closes the connection when the client has, or after a while.
func (s *Stream) close(end *End) {
	later := time.AfterFunc(2*endTimeout, func() { _ = s.conn.NetConn().Close() })
	defer later.Stop()
	s.writing.Lock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(endTimeout))
	if s.handler.Last != nil {
		if last := s.handler.Last(*end); last != nil {
			_ = s.conn.WriteMessage(websocket.TextMessage, last) // whoever is gone does not miss it
		}
	}
	text := end.Error()
	for len(text) > maxCloseText || !utf8.ValidString(text) {
		text = text[:min(len(text)-1, maxCloseText)]
	}
	frame := websocket.FormatCloseMessage(end.closeCode(), text)
	_ = s.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(endTimeout)) // as above
	s.writing.Unlock()
	select {
	case <-s.readDone:
	case <-time.After(endTimeout):
	}
	_ = s.conn.NetConn().Close()
}

// run reads until the stream ends.
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

// recovered ends the stream after a panic of its handler.
func (s *Stream) recovered() {
	if p := recover(); p != nil {
		klog.FromContext(s.done).Error(nil, "Observed a panic", "panic", p)
		s.End(NewEnd(Failed, "the stream has failed"))
	}
}

// read reads messages until the connection is closed. After the end it discards them, so that the client's own close
// is seen.
func (s *Stream) read() {
	defer s.recovered()
	for {
		deadline := pongTimeout
		if s.done.Err() != nil {
			deadline = endTimeout
		}
		_ = s.conn.SetReadDeadline(time.Now().Add(deadline)) // an error is that of the next read
		kind, data, err := s.conn.ReadMessage()
		if err != nil {
			s.End(failedRead(err))
			return
		}
		if s.done.Err() != nil {
			continue
		}
		s.noted(directionIn, len(data))
		if s.handler.Received == nil {
			continue
		}
		if err := s.handler.Received(s.done, s, Message{Binary: kind == websocket.BinaryMessage, Data: data}); err != nil {
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

// start arms the timers of a stream.
func (s *Stream) start() {
	s.used.Store(time.Now().UnixNano())
	s.conn.SetReadLimit(s.handler.ReadLimit)
	s.conn.SetPongHandler(func(string) error {
		return s.conn.SetReadDeadline(time.Now().Add(pongTimeout)) //nolint:wrapcheck // the end of the read
	})
	s.every(pingInterval, s.ping)
	if s.handler.MaxTime > 0 {
		s.every(s.handler.MaxTime, func() { s.End(NewEnd(TooLong, "the stream has reached its longest time")) })
	}
	if s.handler.IdleTime > 0 {
		s.every(s.handler.IdleTime/4, s.endIdle) //nolint:mnd // it ends at most a quarter late
	}
	s.every(s.manager.recheckEvery(s), s.recheck)
}

// every calls a function again and again, until the stream ends.
func (s *Stream) every(interval time.Duration, call func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(interval, func() {
		if s.done.Err() == nil {
			call()
			timer.Reset(interval)
		}
	})
	s.timers = append(s.timers, timer)
}

func (s *Stream) ping() {
	if err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)); err != nil && s.done.Err() == nil {
		s.End(failedWrite(err))
	}
}

func (s *Stream) endIdle() {
	if time.Since(time.Unix(0, s.used.Load())) >= s.handler.IdleTime {
		s.End(NewEnd(Idle, "nothing was sent or received for too long"))
	}
}
