// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxHandshakeBytes bounds the bytes that are read from a cluster before the upgrade: certificates, headers, and an
// error.
const maxHandshakeBytes = 512 << 10

// upgradedConn is the connection of one request. Its time and bytes are bounded until it is upgraded.
type upgradedConn struct {
	net.Conn

	mu       sync.Mutex
	read     int
	released bool
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialWith returns a function that dials once. The connection is closed when the context of the stream ends.
func (c *upgradedConn) dialWith(stream context.Context, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		made, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := made.SetDeadline(time.Now().Add(callTimeout)); err != nil {
			_ = made.Close()
			return nil, fmt.Errorf("setting a deadline: %w", err)
		}
		c.Conn = made
		context.AfterFunc(stream, func() { _ = made.Close() })
		return c, nil
	}
}

// Read returns ErrTooLarge if the cluster sends too much before the upgrade.
func (c *upgradedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read += n; !c.released && c.read > maxHandshakeBytes {
		return 0, ErrTooLarge
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// release removes the bounds.
func (c *upgradedConn) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
	if c.Conn == nil {
		return nil
	}
	return c.Conn.SetDeadline(time.Time{}) //nolint:wrapcheck // as it is
}

// open returns true if the connection was upgraded.
func (c *upgradedConn) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.released
}
