// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connections bounds the memory that connections of clients take before a request of them has arrived: headers
// are held while they arrive, and nobody knows yet who sends them.
package connections

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// idleBytes is what a connection takes while nothing arrives, in bytes.
	idleBytes = 64 << 10
	// bytesPerByte is what a byte of an unfinished header takes.
	bytesPerByte = 3
	// answerBytes is the size of the smallest answer to a request, with TLS. Smaller writes are acknowledgements of the
	// protocols, which a client causes as it likes.
	answerBytes = 64

	keepAlivePeriod = 3 * time.Minute
)

// Options say how connections share memory.
type Options struct {
	// Bytes is what all connections may take.
	Bytes int64
	// Network returns the network that an address counts for.
	Network func(netip.Addr) netip.Prefix
	// Known returns true for addresses whose connections are closed last, unless their network takes half of Bytes.
	Known func(netip.Addr) bool
}

// Listener closes connections where all of them would take too much: those of the network that takes most, and of them
// the one that takes most.
type Listener struct {
	net.Listener

	options Options

	mu       sync.Mutex
	taken    int64
	networks map[netip.Prefix]*network
	// clock counts reads and writes, so that the connection is found that was used least recently.
	clock uint64
}

// network is what the connections of one network take.
type network struct {
	taken       int64
	known       int
	connections map[*connection]struct{}
}

// Limit returns a Listener that accepts from another one.
func Limit(l net.Listener, o Options) *Listener {
	return &Listener{Listener: l, options: o, networks: map[netip.Prefix]*network{}}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, fmt.Errorf("accepting a connection: %w", err)
	}
	if tcp, ok := accepted.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(true)
		_ = tcp.SetKeepAlivePeriod(keepAlivePeriod)
	}
	c := &connection{Conn: accepted, listener: l}
	address := addressOf(accepted)
	c.prefix, c.known = l.options.Network(address), l.options.Known(address)
	l.mu.Lock()
	n := l.networks[c.prefix]
	if n == nil {
		n = &network{connections: map[*connection]struct{}{}}
		l.networks[c.prefix] = n
	}
	n.connections[c] = struct{}{}
	if c.known {
		n.known++
	}
	surplus := l.take(c, idleBytes)
	l.mu.Unlock()
	closeAll(surplus)
	return c, nil
}

func addressOf(c net.Conn) netip.Addr {
	peer, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// take counts bytes of a connection, and returns the connections that must be closed for them. The caller holds the
// lock.
func (l *Listener) take(c *connection, bytes int64) []*connection {
	if c.closed {
		return nil
	}
	l.clock++
	c.used = l.clock
	c.taken += bytes
	l.networks[c.prefix].taken += bytes
	l.taken += bytes
	var surplus []*connection
	for l.taken > l.options.Bytes {
		next := l.next()
		l.drop(next)
		surplus = append(surplus, next)
	}
	return surplus
}

// next returns the connection that is closed first.
func (l *Listener) next() *connection {
	var most *network
	for _, n := range l.networks {
		if most == nil || l.before(n, most) {
			most = n
		}
	}
	var first *connection
	for c := range most.connections {
		if first == nil || c.taken > first.taken || c.taken == first.taken && c.used < first.used {
			first = c
		}
	}
	return first
}

// before returns true if connections of a network are closed before those of another one.
func (l *Listener) before(n, other *network) bool {
	kept, otherKept := l.keeps(n), l.keeps(other)
	if kept != otherKept {
		return otherKept
	}
	return n.taken > other.taken
}

func (l *Listener) keeps(n *network) bool { return n.known > 0 && n.taken <= l.options.Bytes/2 }

// drop forgets a connection. The caller holds the lock.
func (l *Listener) drop(c *connection) {
	if c.closed {
		return
	}
	c.closed = true
	n := l.networks[c.prefix]
	delete(n.connections, c)
	n.taken -= c.taken
	l.taken -= c.taken
	if c.known {
		n.known--
	}
	if len(n.connections) == 0 {
		delete(l.networks, c.prefix)
	}
}

func closeAll(surplus []*connection) {
	for _, c := range surplus {
		_ = c.Conn.Close()
	}
}

// connection is one of a client. Its fields but the first four are guarded by the listener's lock.
type connection struct {
	net.Conn

	listener *Listener
	prefix   netip.Prefix
	known    bool

	taken  int64
	used   uint64
	closed bool
}

// Read implements net.Conn.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.listener.mu.Lock()
		surplus := c.listener.take(c, int64(n)*bytesPerByte)
		c.listener.mu.Unlock()
		closeAll(surplus)
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// Write implements net.Conn. An answer says that what has arrived before is held no more, or counted elsewhere.
func (c *connection) Write(p []byte) (int, error) {
	if len(p) >= answerBytes {
		l := c.listener
		l.mu.Lock()
		if !c.closed {
			l.take(c, idleBytes-c.taken)
		}
		l.mu.Unlock()
	}
	return c.Conn.Write(p) //nolint:wrapcheck // net/http looks at the error
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	c.listener.drop(c)
	c.listener.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // net/http looks at the error
}
