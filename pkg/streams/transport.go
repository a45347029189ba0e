// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// transport sends and receives the messages of a stream, as a WebSocket or as server-sent events.
type transport interface {
	// write sends a message.
	write(binary bool, data []byte) error
	// ping sends a message without data, so that proxies do not close the connection as idle. An error shows that the
	// client is gone.
	ping() error
	// hurry shortens the deadline of the write in progress to endTimeout.
	hurry()
	// close sends lastMessage, unless it is nil, and the reason for the end. It must be the last write.
	close(lastMessage []byte, end *End, readDone <-chan struct{})
	// read returns the next message from the client. A WebSocket returns an error if it receives nothing for the given
	// time. Server-sent events ignore the time, and return an error when the stream ends.
	read(wait time.Duration) (Message, error)
	// subprotocol returns the negotiated WebSocket subprotocol, or an empty string.
	subprotocol() string
}

// socket is a WebSocket. It implements transport.
type socket struct {
	conn *websocket.Conn
	// limit bounds the time to send one message.
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

// hurry shortens the deadline of the write in progress to endTimeout.
func (s *socket) hurry() {
	_ = s.conn.NetConn().SetWriteDeadline(time.Now().Add(endTimeout)) // fails only on a closed connection
}

// close sends the last message and a close frame. It then closes the connection when the client has responded to the
// close frame, or after endTimeout.
func (s *socket) close(last []byte, end *End, readDone <-chan struct{}) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(endTimeout))
	if last != nil {
		_ = s.conn.WriteMessage(websocket.TextMessage, last) // the client may have disconnected
	}
	frame := websocket.FormatCloseMessage(end.closeCode(), end.text())
	// the client may have disconnected
	_ = s.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(endTimeout))
	// If the connection was closed at once, the client might not receive the message or the frame.
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

// netConn returns the network connection of the WebSocket. A stream uses it to close the connection by force if the
// client does not read the last messages.
func (s *socket) netConn() net.Conn { return s.conn.NetConn() }
