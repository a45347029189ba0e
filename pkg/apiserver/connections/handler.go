// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// Handler returns a handler that reports received requests to the listener. After the report, the headers and the read
// part of the body no longer count: they have separate bounds. Responses are not reported, because the header of the
// next request may arrive at the same time. A connection whose first request comes from a trusted client does not count
// and is never closed.
func (l *Listener) Handler(next http.Handler, isTrusted func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, first := l.markArrived(r.RemoteAddr)
		if first && isTrusted(r) {
			l.trust(c)
		}
		if c != nil && r.Body != nil && r.Body != http.NoBody {
			// The handler gets a copy of the request. net/http inspects the body of the original request to determine
			// whether the client may still be sending, and then keeps the connection open until the client has read the
			// response.
			counted := *r
			counted.Body = &body{ReadCloser: r.Body, connection: c}
			r = &counted
		}
		if c != nil {
			w = responsewriter.WrapForHTTP1Or2(&hijacker{ResponseWriter: w, connection: c})
		}
		next.ServeHTTP(w, r)
	})
}

// markArrived records that no header of a connection is unfinished. It returns the connection, or nil if it does not
// count, and whether the request is the first one on it.
func (l *Listener) markArrived(remote string) (c *connection, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c = l.connections[remote]
	if c == nil {
		return nil, false
	}
	first, c.asked = !c.asked, true
	l.count(c, idleBytes-c.taken)
	return c, first
}

func (l *Listener) trust(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(c)
}

// hijacker reports that a connection no longer carries HTTP.
type hijacker struct {
	http.ResponseWriter

	connection *connection
}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (h *hijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack implements http.Hijacker. WrapForHTTP1Or2 offers it only where the connection can be taken over.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		h.connection.markTakenOver()
	}
	return conn, buffered, err //nolint:wrapcheck // as the connection says it
}

// markTakenOver stops counting the bytes of a connection that no longer carries HTTP, because they are not buffered as
// headers. The connection counts as an idle one.
func (c *connection) markTakenOver() {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	c.takenOver = true
	if !c.dropped {
		l.count(c, idleBytes-c.taken)
	}
}

// body is the body of a request.
type body struct {
	io.ReadCloser

	connection *connection
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.connection.release(int64(n) * bytesPerByte)
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// release subtracts bytes that are no longer held.
func (c *connection) release(bytes int64) {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.dropped {
		l.count(c, -min(bytes, max(c.taken-idleBytes, 0)))
	}
}
