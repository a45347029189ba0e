// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const (
	handshakeTimeout = 10 * time.Second
	// writeBuffer is the size of the write buffer of a WebSocket, in bytes. A WebSocket has a write buffer only while
	// it sends a message.
	writeBuffer = 4 << 10
	// readBuffer is the size of the read buffer of a WebSocket, in bytes.
	readBuffer = 1 << 10
)

//nolint:gochecknoglobals // idle streams have no buffer of their own
var writeBuffers sync.Pool

// CheckUpgrade returns an error if the request does not ask for a WebSocket. It counts the rejected request in the
// metric of refused streams. The parameter verb is a label of this metric.
func CheckUpgrade(r *http.Request, verb string) error {
	if !websocket.IsWebSocketUpgrade(r) {
		refused.WithLabelValues(verb, "upgrade").Inc()
		return envelope.Invalid("Upgrade", "this path opens a WebSocket: send the headers of an upgrade")
	}
	return nil
}

// Open upgrades the request to a WebSocket, and starts a goroutine that serves the stream. It returns an error if there
// are too many streams or the request cannot be upgraded.
func (m *Manager) Open(w http.ResponseWriter, r *http.Request, u user.Info, verb string, h *Handler) error {
	if err := m.enter(u.GetName(), verb); err != nil {
		return err
	}
	conn, err := upgrade(w, r, h)
	if err != nil || conn == nil {
		m.leave(u.GetName())
		refused.WithLabelValues(verb, "upgrade").Inc()
		return err
	}
	s := m.newStream(r.Context(), newSocket(conn, cmp.Or(h.ReadLimit, DefaultReadLimit), m.timing), u, verb, h)
	m.begin(s) //nolint:contextcheck // it outlives the request
	go s.run()
	return nil
}

// newStream creates a stream on a transport. The stream has its own context, and takes only the request ID from ctx.
func (m *Manager) newStream(ctx context.Context, t transport, u user.Info, verb string, h *Handler) *Stream {
	s := &Stream{
		manager: m, handler: h, transport: t, verb: verb, name: u.GetName(), user: u,
		account: m.bytes.Account(u.GetName(), 0), readDone: make(chan struct{}), closed: make(chan struct{}),
	}
	if m.options.Expires != nil {
		s.expires = m.options.Expires(u)
	}
	s.depends = slices.Clone(h.Depends)
	// RBAC objects of the host cluster determine who may use the other clusters.
	if m.options.Host != nil && len(s.depends) > 0 {
		if host := m.options.Host(); !slices.Contains(s.depends, host) {
			s.depends = append(s.depends, host)
		}
	}
	s.checks.passed = time.Now()
	logger := klog.Background()
	if state := envelope.StateFrom(ctx); state != nil {
		logger = klog.LoggerWithValues(logger, "requestID", state.RequestID)
	}
	background := klog.NewContext(context.Background(), logger)
	s.done, s.cancel = context.WithCancelCause(background)
	return s
}

func (m *Manager) begin(s *Stream) {
	isStopping := !m.add(s) // Manager.enter has accepted the stream before.
	if s.handler.Began != nil {
		s.handler.Began(s)
	}
	s.start()
	s.recheck() // Rights may have changed since the request was authenticated.
	if isStopping {
		s.End(NewEnd(Shutdown, "this replica is shutting down: connect again"))
	}
}

// upgrade upgrades the request to a WebSocket. It returns nil and no error if the upgrade failed after the connection
// was hijacked, because no error can be sent any more.
func upgrade(w http.ResponseWriter, r *http.Request, h *Handler) (*websocket.Conn, error) {
	var refusal error
	upgrader := websocket.Upgrader{
		HandshakeTimeout: handshakeTimeout, WriteBufferPool: &writeBuffers, WriteBufferSize: writeBuffer,
		ReadBufferSize: readBuffer, Subprotocols: h.Subprotocols,
		CheckOrigin: func(*http.Request) bool { return true }, // Admit has checked the origin.
		Error: func(_ http.ResponseWriter, _ *http.Request, _ int, reason error) {
			refusal = envelope.Invalid("Upgrade", "%s", reason.Error())
		},
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if refusal != nil {
		return nil, refusal
	}
	envelope.MarkStreamed(r.Context())
	if err != nil { // The hijacked connection is closed, so no error can be sent.
		klog.FromContext(r.Context()).V(3).Info("A WebSocket was not opened", "reason", err.Error())
	}
	return conn, nil
}
