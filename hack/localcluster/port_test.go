// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestPortTaken(t *testing.T) {
	t.Parallel()
	port, err := FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckPort(t.Context(), port); err != nil {
		t.Fatalf("a free port: %v", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", address(port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()

	_, err = Start(t.Context(), Options{Assets: t.TempDir(), APIServerPort: port})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("error is %v, want one that names port %d", err, port)
	}
}

// TestFreePorts verifies that FreePort never returns the same port twice, even if no program listens on the port yet.
func TestFreePorts(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 100 {
		port, err := FreePort(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Errorf("port %d was returned twice", port)
		}
		seen[port] = true
	}
}
