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
// error response.
const maxHandshakeBytes = 512 << 10

// upgradedConn is a network connection for one upgraded request. Until the upgrade, the received bytes and the duration
// are limited.
type upgradedConn struct {
	net.Conn

	mu       sync.Mutex
	read     int
	upgraded bool
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialWith wraps the given dial function. The returned function stores the new connection in c, and may be called only
// once. The connection is closed when streamCtx ends.
func (c *upgradedConn) dialWith(streamCtx context.Context, dial dialFunc) dialFunc {
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
		context.AfterFunc(streamCtx, func() { _ = made.Close() })
		return c, nil
	}
}

// Read returns ErrTooLarge if the cluster sends more than maxHandshakeBytes before the upgrade.
func (c *upgradedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read += n; !c.upgraded && c.read > maxHandshakeBytes {
		return 0, ErrTooLarge
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// removeLimits removes the deadline and the limit maxHandshakeBytes from the connection. It must be called after the
// cluster has accepted the upgrade.
func (c *upgradedConn) removeLimits() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upgraded = true
	if c.Conn == nil {
		return nil
	}
	return c.Conn.SetDeadline(time.Time{}) //nolint:wrapcheck // as it is
}

func (c *upgradedConn) isUpgraded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.upgraded
}
