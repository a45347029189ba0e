// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connections limits the memory of client connections, including data that net/http buffers before a request
// has arrived. Limits for each user cannot apply to this data, because the client is not authenticated yet. The package
// also sends the headers and the body of a small response in one write.
package connections

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// idleBytes is the estimated memory of a connection without a request, in bytes.
	idleBytes = 64 << 10
	// bytesPerByte is the estimated memory for each received byte of a header or body, in bytes. It includes memory
	// that the garbage collector has not freed yet.
	bytesPerByte = 3
	// knownPart is a divisor. Options.Bytes/knownPart is the memory that is reserved for connections from known
	// addresses, for example addresses of logged-in users.
	knownPart = 2

	keepAlivePeriod = 3 * time.Minute
)

// Options configures a Listener.
type Options struct {
	// Bytes bounds the memory of all connections, in bytes.
	Bytes int64
	// Networks returns the networks that contain an address, the largest first.
	Networks func(netip.Addr) []netip.Prefix
	// Known returns true for a known address: the address of a proxy, an address in a trusted network, or an address
	// from which a user is logged in. Half of Bytes is reserved for connections from known addresses.
	Known func(netip.Addr) bool
}

// Listener is a net.Listener. It closes connections when all connections together use more than Options.Bytes.
type Listener struct {
	net.Listener

	options Options

	mu sync.Mutex
	// taken is the memory of all connections, in bytes.
	taken int64
	// known is the memory of the connections for which Options.Known returned true, in bytes.
	known       int64
	networks    map[netip.Prefix]*network
	connections map[endpoints]*connection
	// clock increases with each use of a connection.
	clock uint64
}

// network contains the number of connections from one network, and the total memory of these connections in bytes.
type network struct {
	taken       int64
	connections int
}

// Limit returns a Listener that accepts connections from l. It closes connections when all connections together use
// more than o.Bytes of memory.
func Limit(l net.Listener, o Options) *Listener {
	return &Listener{
		Listener: l, options: o, networks: map[netip.Prefix]*network{}, connections: map[endpoints]*connection{},
	}
}

// Accept implements net.Listener. It returns the errors of the inner listener unchanged, because net/http retries after
// temporary errors.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // the server must see that it is a net.Error
	}
	if tcp, ok := accepted.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(true)
		_ = tcp.SetKeepAlivePeriod(keepAlivePeriod)
	}
	c := &connection{
		Conn: accepted, listener: l, endpoints: newEndpoints(accepted.LocalAddr(), accepted.RemoteAddr().String()),
	}
	address := addressOf(accepted)
	prefixes, known := l.options.Networks(address), l.options.Known(address)
	l.mu.Lock()
	surplus := l.addLocked(c, prefixes, known)
	l.mu.Unlock()
	closeAll(surplus)
	return c, nil
}

// endpoints contains the local and the remote address of a connection. The remote address is not sufficient, because a
// client can use one port for connections to several addresses of the server.
type endpoints struct{ local, remote string }

func newEndpoints(local net.Addr, remote string) endpoints {
	if local == nil {
		return endpoints{remote: remote}
	}
	return endpoints{local: local.String(), remote: remote}
}

func addressOf(c net.Conn) netip.Addr {
	peer, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// addLocked registers c, and returns the connections that the caller must close to save memory.
func (l *Listener) addLocked(c *connection, clientNetworks []netip.Prefix, isKnownClient bool) []*connection {
	c.prefixes, c.known = clientNetworks, isKnownClient
	for _, prefix := range clientNetworks {
		n := l.networks[prefix]
		if n == nil {
			n = &network{}
			l.networks[prefix] = n
		}
		n.connections++
		c.networks = append(c.networks, n)
	}
	// The earlier connection with these addresses has ended but was not removed yet.
	if old := l.connections[c.endpoints]; old != nil {
		l.drop(old)
	}
	l.connections[c.endpoints] = c
	return l.take(c, idleBytes)
}

// take adds bytes to the memory of a connection that was just used. If all connections together exceed the memory
// limit, take returns the connections that the caller must close. The caller must hold the lock.
func (l *Listener) take(c *connection, bytes int64) []*connection {
	if c.dropped {
		return nil
	}
	l.clock++
	c.used = l.clock
	if c.takenOver { // net/http does not buffer the data of a WebSocket
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

// count adds bytes to the memory of a connection. The caller must hold the lock.
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

// next returns the connection that must be closed first if all connections together use more memory than allowed. The
// caller must hold the lock.
func (l *Listener) next() *connection {
	// A connection from another address is closed first, unless those from known addresses exceed their reserved
	// memory.
	known := l.known > l.options.Bytes/knownPart || l.known == l.taken
	var first *connection
	for _, c := range l.connections {
		if c.known == known && (first == nil || c.closesBefore(first)) {
			first = c
		}
	}
	return first
}

func (c *connection) closesBefore(other *connection) bool {
	// A client can have many addresses. Therefore, networks are compared first, beginning with the largest networks.
	// The division by idleBytes has the effect that one small request makes no difference.
	for i := range min(len(c.networks), len(other.networks)) {
		if mine, others := c.networks[i].taken/idleBytes, other.networks[i].taken/idleBytes; mine != others {
			return mine > others
		}
	}
	if mine, others := c.taken/idleBytes, other.taken/idleBytes; mine != others {
		return mine > others
	}
	return c.used < other.used // the least recently used connection is closed first
}

// drop removes a connection from the Listener, which then no longer counts the memory of the connection. drop does not
// close the connection. The caller must hold the lock.
func (l *Listener) drop(c *connection) {
	if c.dropped {
		return
	}
	l.count(c, -c.taken)
	c.dropped = true
	if l.connections[c.endpoints] == c {
		delete(l.connections, c.endpoints)
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

// connection is the connection of one client. The lock of the Listener guards all fields except Conn, listener,
// endpoints and unsent.
type connection struct { //nolint:gocritic // the listener comes first, which has methods of its own
	net.Conn

	listener  *Listener
	endpoints endpoints

	prefixes []netip.Prefix
	networks []*network
	known    bool
	// asked is true after the first request on the connection.
	asked bool
	// taken is the memory that is reserved for the connection, in bytes.
	taken        int64
	requestBytes int64
	// used is the value of Listener.clock at the last use of the connection.
	used    uint64
	dropped bool
	// takenOver is true after the connection was upgraded to a WebSocket.
	takenOver bool

	// writeMutex guards unsent.
	writeMutex sync.Mutex
	// unsent contains data that Write has stored instead of sending. It is nil while Write sends data directly.
	unsent *[]byte
}

// Read reads from the connection, and counts the bytes that were read.
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

// Close closes the connection and removes it from the Listener.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	c.listener.drop(c)
	c.listener.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // net/http looks at the error
}
