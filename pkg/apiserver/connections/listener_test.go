// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

type pipeListener struct {
	net.Listener

	next chan net.Conn
}

func (l *pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.next; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *pipeListener) Close() error {
	close(l.next)
	return nil
}

type pipe struct {
	net.Conn

	from, to string
}

func (p *pipe) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.to)) }

func (p *pipe) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.from)) }

type harness struct {
	*Listener

	from *pipeListener
	port int
}

func newHarness(bytes int64) *harness {
	from := &pipeListener{next: make(chan net.Conn, 1)}
	return &harness{from: from, Listener: Limit(from, Options{
		Bytes: bytes,
		Networks: func(a netip.Addr) []netip.Prefix {
			large, _ := a.Prefix(16)
			small, _ := a.Prefix(24)
			return []netip.Prefix{large, small}
		},
		Known: func(a netip.Addr) bool { return netip.MustParsePrefix("192.0.0.0/16").Contains(a) },
	})}
}

func (h *harness) connect(t *testing.T, address string) (client, server net.Conn) {
	t.Helper()
	client, accepted := net.Pipe()
	h.port++
	h.from.next <- &pipe{Conn: accepted, from: fmt.Sprintf("%s:%d", address, 1000+h.port), to: "192.0.2.1:443"}
	server, err := h.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(client.Close(), server.Close()) })
	return client, server
}

// send sends the given number of bytes from the client to the server. It returns false if the connection was closed.
func send(client, server net.Conn, bytes int) bool {
	go func() { _, _ = client.Write(make([]byte, bytes)) }()
	_, err := io.ReadFull(server, make([]byte, bytes))
	return err == nil
}

func isClosed(client net.Conn) bool {
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := client.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func wants(t *testing.T, what string, client net.Conn, closed bool) {
	t.Helper()
	if isClosed(client) != closed {
		t.Errorf("%s is closed: %t, want %t", what, !closed, closed)
	}
}

// TestUnfinishedRequests verifies that a connection is closed if unfinished requests use too much memory. In the client
// network that uses the most memory, the connection that uses the most memory is closed.
func TestUnfinishedRequests(t *testing.T) {
	h := newHarness(10 * idleBytes)
	other, otherServer := h.connect(t, "198.51.100.1")
	small, _ := h.connect(t, "203.0.113.1")
	large, largeServer := h.connect(t, "203.0.113.2")
	if !send(other, otherServer, idleBytes) || !send(large, largeServer, idleBytes) {
		t.Fatal("what fits was not read")
	}
	send(large, largeServer, idleBytes/2)
	wants(t, "the connection that sends most", large, true)
	wants(t, "another one of its network", small, false)
	wants(t, "one of another network", other, false)
	if h.taken != 5*idleBytes {
		t.Errorf("%d bytes are counted", h.taken)
	}
}

func (h *harness) handle(server net.Conn, bodySize int, isTrusted bool) {
	ctx := context.WithValue(context.Background(), http.LocalAddrContextKey, server.LocalAddr())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/",
		strings.NewReader(strings.Repeat("x", bodySize)))
	r.RemoteAddr = server.RemoteAddr().String()
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	h.Handler(handler, func(*http.Request) bool { return isTrusted }).ServeHTTP(httptest.NewRecorder(), r)
}

// TestArrivedRequests verifies how long received bytes count toward the memory of a connection:
//   - Bytes of headers count until the headers are complete.
//   - Bytes of a body count until a handler reads the bytes.
//   - Bytes of the headers of the next request count even if the server sends a response meanwhile.
func TestArrivedRequests(t *testing.T) {
	h := newHarness(10 * idleBytes)
	client, server := h.connect(t, "198.51.100.1")
	go func() { _, _ = io.Copy(io.Discard, client) }()
	for range 10 {
		send(client, server, idleBytes/2)
		h.handle(server, 0, false)
	}
	if h.taken != idleBytes {
		t.Errorf("%d bytes are counted after a request", h.taken)
	}
	for range 3 {
		send(client, server, idleBytes/2)
		c, _ := server.(*connection)
		c.release(idleBytes / 2 * bytesPerByte)
	}
	if h.taken != idleBytes {
		t.Errorf("%d bytes are counted after a body", h.taken)
	}
	closed := false
	for range 10 {
		closed = closed || !send(client, server, idleBytes/2)
		_, err := server.Write(make([]byte, 1<<10))
		closed = closed || err != nil
	}
	if !closed || h.taken != 0 || len(h.networks)+len(h.connections) != 0 {
		t.Errorf("a header counts no more after an answer, or %d bytes of %d networks do", h.taken, len(h.networks))
	}
}

// TestTrustedConnections verifies that the connection of kube-apiserver is never closed in favor of other connections.
// Many clients share this connection.
func TestTrustedConnections(t *testing.T) {
	h := newHarness(4 * idleBytes)
	client, server := h.connect(t, "198.51.100.1")
	other, otherServer := h.connect(t, "198.51.100.2")
	h.handle(otherServer, 10, false)
	h.handle(otherServer, 10, true) // no effect: the first request has determined the owner
	h.handle(server, 10, true)
	if h.taken != idleBytes {
		t.Errorf("%d bytes are counted", h.taken)
	}
	for i := range 10 {
		h.connect(t, fmt.Sprintf("203.%d.113.1", i))
	}
	if !send(client, server, 10*idleBytes) {
		t.Error("the trusted connection does not send")
	}
	wants(t, "the trusted connection", client, false)
	wants(t, "another one", other, true)
}

type temporaryError struct{ error }

func (temporaryError) Timeout() bool   { return false }
func (temporaryError) Temporary() bool { return true }

type failingListener struct{ net.Listener }

func (failingListener) Accept() (net.Conn, error) {
	return nil, temporaryError{errors.New("too many open files")}
}

// TestTemporaryErrors verifies that Accept returns temporary errors, such as too many open files, unchanged. net/http
// stops the server after any other error.
func TestTemporaryErrors(t *testing.T) {
	_, err := Limit(failingListener{}, Options{}).Accept()
	if _, ok := errors.AsType[net.Error](err); !ok {
		t.Errorf("the error is %T", err)
	}
}

// TestManyNetworks verifies that a client with addresses in many networks gets no more memory than a client in one
// network. It also verifies that a new connection from another network stays open during its TLS handshake.
func TestManyNetworks(t *testing.T) {
	h := newHarness(10 * idleBytes)
	attackers := make([]net.Conn, 10)
	for i := range attackers {
		attackers[i], _ = h.connect(t, fmt.Sprintf("203.0.%d.1", i))
	}
	client, server := h.connect(t, "198.51.100.1")
	wants(t, "the oldest one of many networks", attackers[0], true)
	if !send(client, server, 1<<10) {
		t.Error("the new connection was closed")
	}
	for i := range 5 {
		h.connect(t, fmt.Sprintf("203.0.%d.1", 100+i))
	}
	wants(t, "a connection of another network", client, false)
}

// TestManyKnownNetworks verifies that connections from known addresses, for example of logged-in users, leave half of
// the memory to other connections. Known addresses in many networks get no larger part of the memory.
func TestManyKnownNetworks(t *testing.T) {
	h := newHarness(10 * idleBytes)
	known := make([]net.Conn, 10)
	for i := range known {
		known[i], _ = h.connect(t, fmt.Sprintf("192.0.%d.1", i))
	}
	strangers := make([]net.Conn, 5)
	for i := range strangers {
		strangers[i], _ = h.connect(t, fmt.Sprintf("198.51.100.%d", i))
	}
	for _, c := range strangers {
		wants(t, "a stranger", c, false)
	}
	wants(t, "the oldest known one", known[0], true)
	wants(t, "the last known one", known[9], false)
}

// TestIdleConnections verifies that the least recently used connection from the network with the most connections is
// closed first. It also verifies that half of the memory is reserved for connections from the addresses of logged-in
// users.
func TestIdleConnections(t *testing.T) {
	h := newHarness(10 * idleBytes)
	connect := func(address string) net.Conn {
		c, _ := h.connect(t, address)
		return c
	}
	known := []net.Conn{connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.1")}
	other := connect("198.51.100.1")
	many := []net.Conn{connect("203.0.113.1"), connect("203.0.113.2"), connect("203.0.113.1"), connect("203.0.113.4"),
		connect("203.0.113.5")}
	last := connect("203.0.113.9")
	wants(t, "the oldest one of the largest network", many[0], true)
	wants(t, "a younger one", many[1], false)
	known = append(known, connect("192.0.2.1"))
	wants(t, "one of a network that is not known", many[1], true)
	wants(t, "a known one", known[0], false)
	connect("192.0.2.1")
	wants(t, "the oldest one of the known network, which has more than half", known[0], true)
	wants(t, "another one of it", known[1], false)
	wants(t, "one of a network with one connection", other, false)
	wants(t, "the last one of its network", last, false)
	if h.taken != 10*idleBytes {
		t.Errorf("%d bytes are taken", h.taken)
	}
}
