// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// line is the network connection between a replica and the API server. The test can interrupt it.
type line struct {
	target string

	mu   sync.Mutex
	cut  bool
	ends map[net.Conn]bool
}

// newLine returns a line to the API server of the host, and the kubeconfig of a replica that uses the line.
func newLine(tb testing.TB) (l *line, kubeconfig string) {
	tb.Helper()
	config, err := env.Cluster.ServiceAccountConfig(tb.Context(), fixture.SystemNamespace, "kubevision-apiserver")
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l = &line{target: strings.TrimPrefix(config.Host, "https://"), ends: map[net.Conn]bool{}}
	tb.Cleanup(func() {
		_ = listener.Close()
		l.set(true)
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(conn)
		}
	}()
	config.Host = "https://" + listener.Addr().String()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	kubeconfig = filepath.Join(tb.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return l, kubeconfig
}

func (l *line) carry(from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.target)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	if !l.add(from, to) {
		return
	}
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, from)
	delete(l.ends, to)
}

// add adds both ends of a connection. It returns false while the line is interrupted.
func (l *line) add(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range ends {
		l.ends[conn] = true
	}
	return !l.cut
}

// set interrupts or restores the line.
func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for conn := range l.ends {
			_ = conn.Close()
		}
	}
}
