// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connections bounds the memory of client connections before a request has arrived: headers are held in
// memory while they are received, and their sender is not authenticated yet.
package connections

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// idleBytes is the memory of an idle connection, in bytes.
	idleBytes = 64 << 10
	// bytesPerByte is the memory of each byte of an unfinished header, in bytes. It also applies to a complete header
	// that net/http holds, because of the garbage that the header leaves.
	bytesPerByte = 3
	// knownPart determines the share that is reserved for known clients: Bytes divided by knownPart. The same share is
	// reserved for unknown clients.
	knownPart = 2

	keepAlivePeriod = 3 * time.Minute
)

// Options configures the shared memory of connections.
type Options struct {
	// Bytes bounds the memory of all connections.
	Bytes int64
	// Networks returns the networks that an address belongs to, the largest first.
	Networks func(netip.Addr) []netip.Prefix
	// Known returns true for addresses whose connections are closed last, unless the connections of known addresses
	// exceed half of Bytes.
	Known func(netip.Addr) bool
}

// Listener closes connections if their total memory exceeds the bound. closesBefore defines the order.
type Listener struct {
	net.Listener

	options Options

	mu sync.Mutex
	// taken is the memory of all connections. known is the memory of connections from known addresses.
	taken, known int64
	networks     map[netip.Prefix]*network
	connections  map[string]*connection
	// clock counts reads. Its value at the last read of a connection orders connections by use.
	clock uint64
}

// network is the memory of the connections of one network.
type network struct {
	taken       int64
	connections int
}

// Limit returns a Listener that accepts from another one.
func Limit(l net.Listener, o Options) *Listener {
	return &Listener{
		Listener: l, options: o, networks: map[netip.Prefix]*network{}, connections: map[string]*connection{},
	}
}

// Accept implements net.Listener. It returns the error of the inner listener. A server continues after a temporary
// error.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // the server must see that it is a net.Error
	}
	if tcp, ok := accepted.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(true)
		_ = tcp.SetKeepAlivePeriod(keepAlivePeriod)
	}
	c := &connection{Conn: accepted, listener: l, remote: accepted.RemoteAddr().String()}
	address := addressOf(accepted)
	prefixes, known := l.options.Networks(address), l.options.Known(address)
	l.mu.Lock()
	surplus := l.add(c, prefixes, known)
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

// add counts a new connection. The caller holds the lock.
func (l *Listener) add(c *connection, prefixes []netip.Prefix, known bool) []*connection {
	c.prefixes, c.known = prefixes, known
	for _, prefix := range prefixes {
		n := l.networks[prefix]
		if n == nil {
			n = &network{}
			l.networks[prefix] = n
		}
		n.connections++
		c.networks = append(c.networks, n)
	}
	// The earlier connection with this address has ended but was not removed yet.
	if old := l.connections[c.remote]; old != nil {
		l.drop(old)
	}
	l.connections[c.remote] = c
	return l.take(c, idleBytes)
}

// take counts bytes of a connection, and returns the connections that must be closed for them. The caller holds the
// lock.
func (l *Listener) take(c *connection, bytes int64) []*connection {
	if c.dropped {
		return nil
	}
	l.clock++
	c.used = l.clock
	if c.takenOver {
		return nil
	}
	l.count(c, bytes)
	var surplus []*connection
	for l.taken > l.options.Bytes {
		next := l.next()
		l.drop(next)
		surplus = append(surplus, next)
	}
	return surplus
}

// count adds bytes to the memory of a connection. The caller holds the lock.
func (l *Listener) count(c *connection, bytes int64) {
	c.taken += bytes
	for _, n := range c.networks {
		n.taken += bytes
	}
	l.taken += bytes
	if c.known {
		l.known += bytes
	}
}

// next returns the connection to close first.
func (l *Listener) next() *connection {
	known := l.known > l.options.Bytes/knownPart || l.known == l.taken
	var first *connection
	for _, c := range l.connections {
		if c.known == known && (first == nil || c.closesBefore(first)) {
			first = c
		}
	}
	return first
}

// closesBefore returns true if a connection is closed before another one. It compares the memory of their networks,
// then their own memory, then their last use. It ignores differences smaller than the memory of an idle connection,
// because otherwise a client that starts a request would be closed before clients with many idle connections.
func (c *connection) closesBefore(other *connection) bool {
	for i := range min(len(c.networks), len(other.networks)) {
		if mine, others := c.networks[i].taken/idleBytes, other.networks[i].taken/idleBytes; mine != others {
			return mine > others
		}
	}
	if mine, others := c.taken/idleBytes, other.taken/idleBytes; mine != others {
		return mine > others
	}
	return c.used < other.used
}

// drop stops counting a connection. The caller holds the lock.
func (l *Listener) drop(c *connection) {
	if c.dropped {
		return
	}
	l.count(c, -c.taken)
	c.dropped = true
	if l.connections[c.remote] == c {
		delete(l.connections, c.remote)
	}
	for i, n := range c.networks {
		n.connections--
		if n.connections == 0 {
			delete(l.networks, c.prefixes[i])
		}
	}
}

func closeAll(surplus []*connection) {
	for _, c := range surplus {
		_ = c.Conn.Close()
	}
}

// connection is the connection of a client. The listener's lock guards all fields but the first three.
type connection struct { //nolint:gocritic // the listener comes first, which has methods of its own
	net.Conn

	listener *Listener
	remote   string

	prefixes []netip.Prefix
	networks []*network
	known    bool
	// asked is true after the first request.
	asked bool
	// taken is the memory of the connection. held is the part of it for requests that are served.
	taken, held int64
	used        uint64
	dropped     bool
	// takenOver is true once the connection is a WebSocket.
	takenOver bool
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

// Close implements net.Conn.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	c.listener.drop(c)
	c.listener.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // net/http looks at the error
}
