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

const (
	// streamBytes is the memory of an HTTP/2 stream in bytes, without its headers. Other limits no longer count a
	// response that waits because the client grants no flow-control window.
	streamBytes = 32 << 10
	// freeHeaderBytes is the size of HTTP/1 headers that idleBytes includes.
	freeHeaderBytes = 16 << 10
	// valueBytes is the memory of a header value in bytes, in addition to its text. urlCopies is the number of copies
	// of the URL that are held.
	valueBytes, urlCopies = 32, 3
)

// Handler returns a handler that reports received requests to the listener. Bytes of a request body do not count after
// they were read, because they have a separate bound. The end of a response in HTTP/1 is not reported, because the
// header of the next request may arrive at the same time. A connection whose first request comes from a trusted client
// does not count, and is never closed.
func (l *Listener) Handler(next http.Handler, isTrusted func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, first := l.arrived(r)
		if first && isTrusted(r) {
			l.trust(c)
		}
		if c != nil && r.ProtoMajor > 1 {
			defer c.releaseAfter(w, streamMemory(r))
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

// arrived records that a complete header of a request has arrived and that the request is served. It returns the
// connection and whether the request is the first one on it. It returns nil if the connection does not count.
func (l *Listener) arrived(r *http.Request) (c *connection, first bool) {
	l.mu.Lock()
	c = l.connections[r.RemoteAddr]
	if c == nil {
		l.mu.Unlock()
		return nil, false
	}
	first, c.asked = !c.asked, true
	if r.ProtoMajor == 1 { // the previous response is complete, or the client does not read it
		c.held = bytesPerByte * max(0, headerBytes(r)-freeHeaderBytes)
	} else {
		c.held += streamMemory(r)
	}
	surplus := l.take(c, idleBytes+c.held-c.taken)
	l.mu.Unlock()
	closeAll(surplus)
	return c, first
}

// releaseAfter subtracts the memory of an HTTP/2 stream when the stream has ended: the response was sent, or the client
// has disconnected. It must be called at the end of the handler, with the response writer of net/http. It cannot wait
// for the context of the request, which ends before the response is sent.
func (c *connection) releaseAfter(w http.ResponseWriter, held int64) {
	var sent <-chan bool
	if notifier, ok := w.(http.CloseNotifier); ok { //nolint:staticcheck // nothing else tells when the stream has ended
		sent = notifier.CloseNotify()
	}
	go func() {
		if sent != nil {
			<-sent
		}
		l := c.listener
		l.mu.Lock()
		defer l.mu.Unlock()
		if !c.dropped {
			c.held -= held
			l.count(c, -held)
		}
	}()
}

func streamMemory(r *http.Request) int64 { return streamBytes + bytesPerByte*headerBytes(r) }

// headerBytes returns the size of the URL and the headers of a request. net/http holds them until the client has
// received the response.
func headerBytes(r *http.Request) int64 {
	size := len(r.Host) + urlCopies*len(r.RequestURI)
	for name, values := range r.Header {
		size += len(name)
		for _, value := range values {
			size += len(value) + valueBytes
		}
	}
	return int64(size)
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
	return conn, buffered, err //nolint:wrapcheck // as net.Conn returns it
}

// markTakenOver stops counting the bytes of a connection that no longer carries HTTP, because they are not buffered as
// headers. The connection counts as an idle one.
func (c *connection) markTakenOver() {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	c.takenOver, c.held = true, 0
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
		l.count(c, -min(bytes, max(c.taken-idleBytes-c.held, 0)))
	}
}
