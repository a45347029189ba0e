// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// transport carries the messages of a stream.
type transport interface {
	// write sends a message.
	write(binary bool, data []byte) error
	// ping requests a response of the client, and keeps the connection open in proxies.
	ping() error
	// hurry shortens the deadline of the message in progress.
	hurry()
	// close sends the last message, if there is one, and the end. It is called once. No message is sent afterwards.
	close(last []byte, end *End, readDone <-chan struct{})
	// read reads a message.
	read(wait time.Duration) (Message, error)
	// subprotocol returns the negotiated subprotocol, or an empty string.
	subprotocol() string
}

// socket is a WebSocket.
type socket struct {
	conn *websocket.Conn
	// limit bounds the sending of one message.
	limit time.Duration
}

func newSocket(conn *websocket.Conn, readLimit int64, t timing) *socket {
	conn.SetReadLimit(readLimit)
	conn.SetPongHandler(func(string) error {
		return conn.SetReadDeadline(time.Now().Add(t.pong)) //nolint:wrapcheck // the end of the read
	})
	return &socket{conn, t.write}
}

func (s *socket) write(binary bool, data []byte) error {
	kind := websocket.TextMessage
	if binary {
		kind = websocket.BinaryMessage
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.limit)) // never fails, because it only stores the time
	return s.conn.WriteMessage(kind, data)               //nolint:wrapcheck // the caller examines it
}

func (s *socket) ping() error {
	return s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(s.limit)) //nolint:wrapcheck // as above
}

// hurry implements transport.
func (s *socket) hurry() {
	_ = s.conn.NetConn().SetWriteDeadline(time.Now().Add(endTimeout)) // fails only on a closed connection
}

// close sends the last message and the close frame. It then waits until the client closes the connection, so that the
// client can read both.
func (s *socket) close(last []byte, end *End, readDone <-chan struct{}) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(endTimeout))
	if last != nil {
		_ = s.conn.WriteMessage(websocket.TextMessage, last) // the client may have disconnected
	}
	frame := websocket.FormatCloseMessage(end.closeCode(), end.text())
	// the client may have disconnected
	_ = s.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(endTimeout))
	select {
	case <-readDone:
	case <-time.After(endTimeout):
	}
	_ = s.conn.NetConn().Close()
}

func (s *socket) read(wait time.Duration) (Message, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(wait)) // the read returns the error
	kind, data, err := s.conn.ReadMessage()
	return Message{Binary: kind == websocket.BinaryMessage, Data: data}, err //nolint:wrapcheck // as above
}

func (s *socket) subprotocol() string { return s.conn.Subprotocol() }

// netConn returns the underlying connection, which is closed if the client does not read.
func (s *socket) netConn() net.Conn { return s.conn.NetConn() }
