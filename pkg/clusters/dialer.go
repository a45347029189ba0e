// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
)

// dialer opens connections to a cluster and tracks them, so that close can close all of them.
type dialer struct {
	policy addresspolicy.Policy

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

func newDialer(policy addresspolicy.Policy) *dialer {
	return &dialer{policy: policy, open: map[net.Conn]struct{}{}}
}

// dial opens a connection that the policy allows. It returns ErrNotConnected after close.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	// Without this check, an HTTP client that repeats a failed request could connect to a removed cluster.
	if d.isClosed() {
		return nil, errClosed()
	}
	made, err := d.policy.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed { // closed while the connection was dialled
		_ = made.Close()
		return nil, errClosed()
	}
	c := &trackedConn{Conn: made, dialer: d}
	d.open[c] = struct{}{}
	return c, nil
}

func errClosed() error { return fmt.Errorf("%w: its registration has changed", ErrNotConnected) }

func (d *dialer) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// close closes all open connections, and makes later calls of dial fail.
func (d *dialer) close() {
	d.mu.Lock()
	d.closed = true
	open := d.open
	d.open = nil
	d.mu.Unlock()
	for c := range open {
		_ = c.Close()
	}
}

// trackedConn is a connection that a dialer has opened. The dialer lists all open connections, so that dialer.close can
// close them. When a trackedConn is closed, the dialer removes it from this list.
type trackedConn struct {
	net.Conn
	dialer *dialer
}

// Close closes the connection.
func (c *trackedConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}
