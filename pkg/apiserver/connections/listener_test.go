// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// pipeListener accepts what it is given, from an address that the test chooses.
type pipeListener struct {
	net.Listener

	next chan net.Conn
}

func (l *pipeListener) Accept() (net.Conn, error) { return <-l.next, nil }

type pipe struct {
	net.Conn

	from string
}

func (p *pipe) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.from)) }

type harness struct {
	*Listener

	from *pipeListener
}

func newHarness(bytes int64) *harness {
	from := &pipeListener{next: make(chan net.Conn, 1)}
	return &harness{from: from, Listener: Limit(from, Options{
		Bytes: bytes,
		Network: func(a netip.Addr) netip.Prefix {
			prefix, _ := a.Prefix(24)
			return prefix
		},
		Known: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.1") },
	})}
}

// connect returns both ends of a connection.
func (h *harness) connect(t *testing.T, address string) (client, server net.Conn) {
	t.Helper()
	client, accepted := net.Pipe()
	h.from.next <- &pipe{Conn: accepted, from: address + ":1000"}
	server, err := h.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(client.Close(), server.Close()) })
	return client, server
}

// send sends bytes, which the server reads. It returns false if the connection was closed.
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

// TestUnfinishedRequests: where too much is held that is not answered yet, the network that sends most of it gives way.
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

// TestAnswers: what was answered is held no more; acknowledgements of the protocols are no answer.
func TestAnswers(t *testing.T) {
	h := newHarness(10 * idleBytes)
	client, server := h.connect(t, "198.51.100.1")
	go func() { _, _ = io.Copy(io.Discard, client) }()
	for range 10 {
		send(client, server, idleBytes/2)
		if _, err := server.Write(make([]byte, answerBytes)); err != nil {
			t.Fatal(err)
		}
	}
	if h.taken != idleBytes {
		t.Errorf("%d bytes are counted after an answer", h.taken)
	}
	closed := false
	for range 10 {
		closed = closed || !send(client, server, idleBytes/2)
		_, err := server.Write(make([]byte, answerBytes-1))
		closed = closed || err != nil
	}
	if !closed || h.taken != 0 || len(h.networks) != 0 {
		t.Errorf("acknowledgements are taken for answers, or %d bytes of %d networks are counted", h.taken, len(h.networks))
	}
}

// TestIdleConnections: of many, the network with most of them gives way, and of these those that were used least
// recently. Known networks come last, but have no more than half.
func TestIdleConnections(t *testing.T) {
	h := newHarness(10 * idleBytes)
	connect := func(address string) net.Conn {
		c, _ := h.connect(t, address)
		return c
	}
	known := []net.Conn{connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.1")}
	other := connect("198.51.100.1")
	many := []net.Conn{connect("203.0.113.1"), connect("203.0.113.2"), connect("203.0.113.1"), connect("203.0.113.4"), connect("203.0.113.5")}
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
