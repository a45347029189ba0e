// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
)

const (
	loopback = "127.0.0.1"
	// firstPort is the lowest port that FreePort returns.
	firstPort = 20000
	// lastPort is the upper bound of the ports that FreePort returns. It is below the range from which the kernel
	// selects ports for outgoing connections. Otherwise, an outgoing connection could take a port before the program
	// listens on it.
	lastPort     = 32000
	portAttempts = 200
	// portClasses reduces the risk that two processes select the same port at the same time. FreePort returns only
	// ports that have the same remainder modulo portClasses as the process ID.
	portClasses = 8
)

// selected contains the ports that FreePort has already returned or found in use.
var selected sync.Map //nolint:gochecknoglobals // ports belong to the process

// ErrPortTaken is returned if another program listens on a requested port.
var ErrPortTaken = errors.New("in use by another program")

// CheckPort returns an error that names the port if it is not possible to listen on it.
func CheckPort(ctx context.Context, port int) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address(port))
	if err != nil {
		return fmt.Errorf("port %d is %w (%w)", port, ErrPortTaken, err)
	}
	if err := listener.Close(); err != nil {
		return fmt.Errorf("close port %d: %w", port, err)
	}
	return nil
}

// FreePort returns a loopback port on which no program listens. In one process, FreePort never returns the same port
// twice.
func FreePort(ctx context.Context) (int, error) {
	var err error
	for range portAttempts {
		n := rand.IntN((lastPort - firstPort) / portClasses) //nolint:gosec // the number of a port is no secret
		port := firstPort + n*portClasses + os.Getpid()%portClasses
		if _, again := selected.LoadOrStore(port, true); again {
			continue
		}
		if err = CheckPort(ctx, port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: %w", errors.Join(err, ErrPortTaken))
}

// pickPort returns the wanted port, or an error if a program already listens on this port. If wanted is 0, pickPort
// selects a free port.
func pickPort(ctx context.Context, wanted int) (int, error) {
	if wanted == 0 {
		return FreePort(ctx)
	}
	return wanted, CheckPort(ctx, wanted)
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
