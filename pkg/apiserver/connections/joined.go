// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"net/http"
	"strconv"
	"sync"
)

const (
	// joinedBytes is the largest body, in bytes, of a response that is sent in one write.
	joinedBytes = 16 << 10
	// overheadBytes is the usual size of the headers and of the overhead of TLS, in bytes.
	overheadBytes = 2 << 10
)

//nolint:gochecknoglobals // small responses would spend much of their time on new buffers
var joinedBuffers = sync.Pool{New: func() any {
	buffer := make([]byte, 0, joinedBytes+overheadBytes)
	return &buffer
}}

// Write writes p to the response. If p is the whole body of a small HTTP/1 response, it sends the response in one write
// to the connection. net/http would send a response of more than 4 KiB in at least two writes. Each write is a system
// call, and wakes the client.
func (h *hijacker) Write(p []byte) (int, error) {
	if h.http2 || len(p) > joinedBytes || !h.isWholeBody(p) {
		return h.ResponseWriter.Write(p) //nolint:wrapcheck // as http.ResponseWriter returns it
	}
	h.connection.hold()
	n, err := h.ResponseWriter.Write(p)
	if err == nil {
		err = http.NewResponseController(h.ResponseWriter).Flush()
	}
	if sent := h.connection.send(); err == nil {
		err = sent
	}
	return n, err //nolint:wrapcheck // as http.ResponseWriter returns it
}

func (h *hijacker) isWholeBody(p []byte) bool {
	length, err := strconv.Atoi(h.Header().Get("Content-Length"))
	return err == nil && length == len(p)
}

// hold makes Write keep data until the next call of send.
func (c *connection) hold() {
	c.writeMutex.Lock()
	defer c.writeMutex.Unlock()
	c.unsent, _ = joinedBuffers.Get().(*[]byte)
}

// send sends the data that was kept since the call of hold. If an error occurs, it closes the connection, because TLS
// assumes that the data was sent.
func (c *connection) send() error {
	c.writeMutex.Lock()
	defer c.writeMutex.Unlock()
	buffer := c.unsent
	c.unsent = nil
	_, err := c.Conn.Write(*buffer)
	if cap(*buffer) <= 2*joinedBytes {
		*buffer = (*buffer)[:0]
		joinedBuffers.Put(buffer)
	}
	if err != nil {
		_ = c.Close()
	}
	return err //nolint:wrapcheck // as net.Conn returns it
}

// Write writes p to the connection. After a call of hold, it keeps p until the next call of send.
func (c *connection) Write(p []byte) (int, error) {
	c.writeMutex.Lock()
	if c.unsent != nil {
		defer c.writeMutex.Unlock()
		*c.unsent = append(*c.unsent, p...)
		return len(p), nil
	}
	c.writeMutex.Unlock()
	return c.Conn.Write(p) //nolint:wrapcheck // as net.Conn returns it
}
