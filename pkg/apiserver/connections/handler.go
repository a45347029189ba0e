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
	// streamBytes is the estimated memory of an HTTP/2 stream without its headers, in bytes. It covers a response that
	// waits because the client grants no flow-control window.
	streamBytes = 32 << 10
	// freeHeaderBytes is the size in bytes up to which the URL and the headers of an HTTP/1 request are not counted,
	// because the fixed estimate for each connection (idleBytes) contains them.
	freeHeaderBytes = 16 << 10
	// valueBytes is the memory of a header value in addition to its text, in bytes.
	valueBytes = 32
	// urlCopies is the number of copies of the URL of a request that net/http stores.
	urlCopies = 3
)

// Handler returns a handler that counts the memory of each request, and then calls next. If isTrusted returns true for
// the first request of a connection, the Listener no longer counts the memory of this connection, and never closes this
// connection to save memory.
//
// The bytes of a request body are counted until a handler reads them. The handler must limit the memory for the bytes
// that it has read.
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
			// The counting body is set in a copy of the request. The original request must keep the body of net/http,
			// so that net/http recognizes when a handler has not read the whole body. If net/http does not recognize
			// this, it closes the connection too early, and the client cannot read the response.
			counted := *r
			counted.Body = &body{ReadCloser: r.Body, connection: c}
			r = &counted
		}
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		counting := &responseWriter{ResponseWriter: w, connection: c, http2: r.ProtoMajor > 1}
		next.ServeHTTP(responsewriter.WrapForHTTP1Or2(counting), r)
		if counting.sendFailed {
			panic(http.ErrAbortHandler) // net/http has not seen the error, and would read the next request
		}
	})
}

// arrived records that the headers of a request are complete. It returns the connection, and whether the request is the
// first one on this connection. It returns nil if the Listener does not count the connection.
func (l *Listener) arrived(r *http.Request) (c *connection, first bool) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	l.mu.Lock()
	c = l.connections[newEndpoints(local, r.RemoteAddr)]
	if c == nil {
		l.mu.Unlock()
		return nil, false
	}
	first, c.asked = !c.asked, true
	if r.ProtoMajor == 1 { // the previous request on the connection has ended
		c.requestBytes = bytesPerByte * max(0, headerBytes(r)-freeHeaderBytes)
	} else {
		c.requestBytes += streamMemory(r)
	}
	surplus := l.take(c, idleBytes+c.requestBytes-c.taken)
	l.mu.Unlock()
	closeAll(surplus)
	return c, first
}

// releaseAfter starts a goroutine that waits until an HTTP/2 stream has ended, and then reduces the counted memory of
// the connection by the given number of bytes. The context of the request is not sufficient, because it ends before the
// response is sent. releaseAfter must be called at the end of the handler, with the ResponseWriter of net/http.
func (c *connection) releaseAfter(w http.ResponseWriter, bytes int64) {
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
			c.requestBytes -= bytes
			l.count(c, -bytes)
		}
	}()
}

func streamMemory(r *http.Request) int64 { return streamBytes + bytesPerByte*headerBytes(r) }

// headerBytes returns the size of the URL and the headers of a request. net/http stores both until the response was
// sent.
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

// responseWriter is a ResponseWriter that tells the Listener when the connection is hijacked. It also sends a small
// response in one write to the connection.
type responseWriter struct {
	http.ResponseWriter

	connection *connection
	http2      bool
	sendFailed bool
}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.connection.markTakenOver()
	}
	return conn, buffered, err //nolint:wrapcheck // as net.Conn returns it
}

// markTakenOver records that the connection was hijacked. From then on, the Listener counts only idleBytes for the
// connection, even if data arrives, because net/http no longer buffers this data.
func (c *connection) markTakenOver() {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	c.takenOver, c.requestBytes = true, 0
	if !c.dropped {
		l.count(c, idleBytes-c.taken)
	}
}

// body is a request body. Data that was read from the body no longer counts toward the memory of the connection.
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

// release reduces the counted memory of the connection by the given number of bytes, after a handler has read data from
// a request body.
func (c *connection) release(bytes int64) {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.dropped {
		// The memory of the idle connection and of the requests in progress remains counted.
		l.count(c, -min(bytes, max(c.taken-idleBytes-c.requestBytes, 0)))
	}
}
