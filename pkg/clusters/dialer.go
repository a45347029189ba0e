// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/kubevision-io/kubevision/pkg/clusters/dial"
)

// dialer knows the connections that it has made, and makes no more when it is closed: clients send a request again whose connection has ended,
// and would go on, on another one, with what is to end.
type dialer struct {
	policy dial.Policy

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

func newDialer(policy dial.Policy) *dialer {
	return &dialer{policy: policy, open: map[net.Conn]struct{}{}}
}

// dial is ErrNotConnected where the dialer is closed.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.isClosed() {
		return nil, errClosed()
	}
	made, err := d.policy.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed { // meanwhile
		_ = made.Close()
		return nil, errClosed()
	}
	c := &dialled{Conn: made, dialer: d}
	d.open[c] = struct{}{}
	return c, nil
}

func errClosed() error { return fmt.Errorf("%w: it is not registered so any more", ErrNotConnected) }

func (d *dialer) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// close ends every connection.
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

// dialled is a connection that is forgotten when it is closed.
type dialled struct {
	net.Conn
	dialer *dialer
}

// Close closes the connection.
func (c *dialled) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}
