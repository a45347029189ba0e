// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
)

const (
	// joinedBytes is the maximum size of a response body that responseWriter sends in one write together with the
	// headers, in bytes. A body of at most minJoinedBytes is left to net/http, which usually sends the response in one
	// write, too. net/http sends such a response after the handler has returned, so that a slow client does not keep
	// the request in flight. The buffer of net/http has 4 KiB.
	joinedBytes, minJoinedBytes = 16 << 10, 4<<10 - 256
	// unsentBytes bounds the data that a connection stores before it sends a small response in one write, in bytes. The
	// data includes the headers and the overhead of TLS.
	unsentBytes = joinedBytes + 4<<10
)

//nolint:gochecknoglobals // small responses would spend much of their time on new buffers
var joinedBuffers = sync.Pool{New: func() any {
	buffer := make([]byte, 0, unsentBytes)
	return &buffer
}}

// Write writes p to the response. If p is the whole body of a small HTTP/1 response, Write sends the headers and the
// body in one write to the connection. net/http would send a response of more than 4 KiB in at least two writes. Each
// write is a system call, and wakes the client.
func (w *responseWriter) Write(p []byte) (int, error) {
	if len(p) > minJoinedBytes && len(p) <= joinedBytes && !w.http2 && w.isWholeBody(p) && w.connection.hold() {
		return w.writeJoined(p)
	}
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // as http.ResponseWriter returns it
}

func (w *responseWriter) writeJoined(p []byte) (n int, err error) {
	defer func() { // also after a panic of net/http
		if sent := w.connection.send(); sent != nil {
			w.failed = true
			err = errors.Join(err, sent)
		}
	}()
	if n, err = w.ResponseWriter.Write(p); err != nil {
		return n, err //nolint:wrapcheck // as http.ResponseWriter returns it
	}
	return n, http.NewResponseController(w.ResponseWriter).Flush() //nolint:wrapcheck // as above
}

func (w *responseWriter) isWholeBody(p []byte) bool {
	length, err := strconv.Atoi(w.Header().Get("Content-Length"))
	return err == nil && length == len(p)
}

// hold makes c.Write store the data of a response. The next call of send then sends all stored data in one write. hold
// returns false if it was already called without a later call of send.
func (c *connection) hold() bool {
	c.writeMutex.Lock()
	defer c.writeMutex.Unlock()
	if c.unsent != nil {
		return false
	}
	c.unsent, _ = joinedBuffers.Get().(*[]byte)
	return c.unsent != nil
}

// send sends the data that c.Write has stored since the last call of hold. After an error, it closes the TCP
// connection.
func (c *connection) send() error {
	c.writeMutex.Lock()
	defer c.writeMutex.Unlock()
	buffer := c.unsent
	c.unsent = nil
	_, err := c.Conn.Write(*buffer)
	*buffer = (*buffer)[:0]
	joinedBuffers.Put(buffer)
	if err != nil {
		_ = c.Conn.Close() // net/http does not know of the error, and would wait for the client
	}
	return err //nolint:wrapcheck // as net.Conn returns it
}

// Write writes p to the connection. Between a call of hold and the next call of send, Write only stores p. If the
// stored data would exceed unsentBytes, Write sends all data immediately.
func (c *connection) Write(p []byte) (int, error) {
	c.writeMutex.Lock()
	defer c.writeMutex.Unlock()
	if c.unsent == nil {
		return c.Conn.Write(p) //nolint:wrapcheck // as net.Conn returns it
	}
	if len(*c.unsent)+len(p) <= unsentBytes {
		*c.unsent = append(*c.unsent, p...)
		return len(p), nil
	}
	_, err := c.Conn.Write(*c.unsent)
	*c.unsent = (*c.unsent)[:0]
	if err != nil {
		return 0, err //nolint:wrapcheck // as net.Conn returns it
	}
	return c.Conn.Write(p) //nolint:wrapcheck // as net.Conn returns it
}
