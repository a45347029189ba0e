// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

type countingListener struct {
	net.Listener

	writes  atomic.Int64
	failing atomic.Bool
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{Conn: c, listener: l}, err
}

type countingConn struct {
	net.Conn

	listener *countingListener
}

func (c *countingConn) Write(p []byte) (int, error) {
	if c.listener.failing.Load() {
		return 0, net.ErrClosed
	}
	c.listener.writes.Add(1)
	return c.Conn.Write(p)
}

func echo(parts int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		for i := range parts {
			if _, err := w.Write(body[len(body)*i/parts : len(body)*(i+1)/parts]); err != nil {
				return
			}
		}
	}
}

func serveTLS(t *testing.T, handler http.Handler) (listener *countingListener, post func(body []byte) ([]byte, error)) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	counting := &countingListener{Listener: server.Listener}
	limited := Limit(counting, Options{
		Bytes: 100 * idleBytes, Networks: func(netip.Addr) []netip.Prefix { return nil },
		Known: func(netip.Addr) bool { return false },
	})
	server.Listener = limited
	server.Config.Handler = limited.Handler(handler, func(*http.Request) bool { return false })
	server.StartTLS()
	t.Cleanup(server.Close)
	return counting, func(body []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		response, err := server.Client().Do(request)
		if err != nil {
			return nil, err
		}
		received, err := io.ReadAll(response.Body)
		return received, errors.Join(err, response.Body.Close())
	}
}

// TestSmallResponses verifies that a small response is sent in one write, and that other responses are complete.
func TestSmallResponses(t *testing.T) {
	for _, c := range []struct {
		name        string
		size, parts int
		joined      bool
	}{
		{"empty", 0, 1, true},
		{"small", 300, 1, true},
		{"larger than the buffer of net/http", 6 << 10, 1, true},
		{"the largest joined one", joinedBytes, 1, true},
		{"larger", joinedBytes + 1, 1, false},
		{"in parts", 6 << 10, 3, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			counting, send := serveTLS(t, echo(c.parts))
			body := bytes.Repeat([]byte("0123456789"), c.size/10+1)[:c.size]
			for i := range 3 {
				before := counting.writes.Load()
				received, err := send(body)
				if err != nil || !bytes.Equal(received, body) {
					t.Fatalf("received %d bytes (%v), want %d", len(received), err, len(body))
				}
				writes := counting.writes.Load() - before
				if i > 0 && (writes == 1) != c.joined { // the first response contains the handshake
					t.Errorf("%d writes", writes)
				}
			}
		})
	}
}

// TestFailedSmallResponses verifies that the handler gets the error if a small response cannot be sent. The server must
// then close the connection, because the client would wait for the response on an open connection.
func TestFailedSmallResponses(t *testing.T) {
	var counting *countingListener
	failed := make(chan error, 1)
	counting, send := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		counting.failing.Store(true)
		w.Header().Set("Content-Length", strconv.Itoa(joinedBytes))
		_, err := w.Write(make([]byte, joinedBytes))
		failed <- err
	}))
	if received, err := send(nil); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the client received %d bytes (%v)", len(received), err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the handler got %v", err)
	}
}

// TestUnreadSmallResponses verifies that a handler returns before its small response is sent. A client that does not
// read would keep the request in flight otherwise.
func TestUnreadSmallResponses(t *testing.T) {
	h := newHarness(10 * idleBytes)
	returned := make(chan struct{})
	next := h.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(netHTTPBytes/2))
		_, _ = w.Write(make([]byte, netHTTPBytes/2))
	}), func(*http.Request) bool { return false })
	client, server := h.connect(t, "198.51.100.1")
	accepted := &pipeListener{next: make(chan net.Conn, 1)}
	accepted.next <- server
	program := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			close(returned)
		}),
	}
	go func() { _ = program.Serve(accepted) }()
	t.Cleanup(func() { _ = program.Close() })
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-returned:
	case <-time.After(10 * time.Second):
		t.Error("the handler waits for the client")
	}
}

// TestEndpoints verifies that connections from one port of a client to two addresses of the server are distinguished.
func TestEndpoints(t *testing.T) {
	h := newHarness(10 * idleBytes)
	for _, to := range []string{"192.0.2.1:443", "192.0.2.2:443"} {
		client, accepted := net.Pipe()
		h.from.next <- &pipe{Conn: accepted, from: "198.51.100.1:1000", to: to}
		server, err := h.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = errors.Join(client.Close(), server.Close()) })
	}
	for _, to := range []string{"192.0.2.1:443", "192.0.2.2:443"} {
		address := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(to))
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(address))
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = "198.51.100.1:1000"
		if c, first := h.arrived(r); c == nil || !first || c.LocalAddr().String() != to {
			t.Errorf("the request to %s belongs to the connection %v", to, c)
		}
	}
}

// TestUnsentData verifies that a connection buffers a limited number of bytes, and only one response at a time.
func TestUnsentData(t *testing.T) {
	h := newHarness(10 * idleBytes)
	client, server := h.connect(t, "198.51.100.1")
	c, _ := server.(*connection)
	if !c.storeWrites() || c.storeWrites() {
		t.Fatal("the first call of storeWrites fails, or the second one does not")
	}
	received := make(chan []byte)
	go func() {
		data, _ := io.ReadAll(client)
		received <- data
	}()
	piece := bytes.Repeat([]byte("0123456789abcdef"), unsentBytes/32)
	var sent []byte
	for range 5 {
		n, err := c.Write(piece)
		if err != nil || n != len(piece) {
			t.Fatalf("wrote %d bytes: %v", n, err)
		}
		sent = append(sent, piece...)
		if len(*c.unsent) > unsentBytes {
			t.Errorf("%d bytes are kept", len(*c.unsent))
		}
	}
	if err := errors.Join(c.sendStored(), c.Close()); err != nil {
		t.Error(err)
	}
	if got := <-received; !bytes.Equal(got, sent) {
		t.Errorf("the client received %d bytes, want %d", len(got), len(sent))
	}
}

type brokenConn struct {
	net.Conn

	closed bool
}

func (*brokenConn) Write([]byte) (int, error) { return 0, net.ErrClosed }

func (c *brokenConn) Close() error {
	c.closed = true
	return nil
}

// TestFailedSend verifies that the server closes the TCP connection if a buffered response cannot be sent.
func TestFailedSend(t *testing.T) {
	broken := &brokenConn{}
	c := &connection{Conn: broken}
	if !c.storeWrites() || c.sendStored() == nil || !broken.closed {
		t.Error("the connection is not closed")
	}
}

type panickingWriter struct{ http.ResponseWriter }

func (panickingWriter) Write([]byte) (int, error) { panic("x") }

// TestPanicOfAJoinedWrite verifies that a connection stops buffering after a panic of net/http. Otherwise, a later
// response would not be sent.
func TestPanicOfAJoinedWrite(t *testing.T) {
	c := &connection{Conn: &brokenConn{}}
	w := &responseWriter{ResponseWriter: panickingWriter{httptest.NewRecorder()}, connection: c}
	w.Header().Set("Content-Length", strconv.Itoa(joinedBytes))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it does not panic")
			}
		}()
		_, _ = w.Write(make([]byte, joinedBytes))
	}()
	if c.unsent != nil {
		t.Error("the connection still keeps data")
	}
}
