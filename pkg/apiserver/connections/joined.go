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
	// joinedBytes is the maximum size in bytes of a response body that Write sends together with the headers.
	joinedBytes = 16 << 10
	// netHTTPBytes is the maximum size in bytes of a response body that net/http sends in one write together with the
	// headers. The buffer of net/http has 4 KiB, and usual headers fit into 256 bytes of this buffer.
	netHTTPBytes = 4<<10 - 256
	// unsentBytes is the capacity of the buffer in which a connection collects a small response, in bytes. The buffer
	// has room for the body, the headers and the overhead of TLS.
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
	// net/http itself sends a smaller response in one write, after the handler has returned. A slow client then does
	// not keep the request in flight.
	if len(p) > netHTTPBytes && len(p) <= joinedBytes && !w.http2 && w.isWholeBody(p) && w.connection.storeWrites() {
		return w.writeJoined(p)
	}
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // as http.ResponseWriter returns it
}

func (w *responseWriter) writeJoined(p []byte) (n int, err error) {
	defer func() { // also after a panic of net/http
		if sent := w.connection.sendStored(); sent != nil {
			w.sendFailed = true
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

// storeWrites makes Write store data instead of sending the data. It returns false if Write already stores data.
func (c *connection) storeWrites() bool {
	c.writeMutex.Lock()
	defer c.writeMutex.Unlock()
	if c.unsent != nil {
		return false
	}
	c.unsent, _ = joinedBuffers.Get().(*[]byte)
	return c.unsent != nil
}

// sendStored sends the data that Write has stored. Afterwards, Write sends data directly again. After an error,
// sendStored closes the TCP connection.
func (c *connection) sendStored() error {
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

// Write writes p to the connection. Between storeWrites and sendStored, Write only stores p. If the stored data would
// exceed unsentBytes, Write sends all data immediately.
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
