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

// tcpProxy forwards the connections of a replica to the Kubernetes API server. The test can interrupt the connections.
type tcpProxy struct {
	target string

	mu   sync.Mutex
	cut  bool
	ends map[net.Conn]bool
}

func newTCPProxy(tb testing.TB) (p *tcpProxy, kubeconfig string) {
	tb.Helper()
	config, err := env.Cluster.ServiceAccountConfig(tb.Context(), fixture.SystemNamespace, "kubevision-apiserver")
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p = &tcpProxy{target: strings.TrimPrefix(config.Host, "https://"), ends: map[net.Conn]bool{}}
	tb.Cleanup(func() {
		_ = listener.Close()
		p.setCut(true)
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.carry(conn)
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
	return p, kubeconfig
}

func (p *tcpProxy) carry(from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	if !p.add(from, to) {
		return
	}
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ends, from)
	delete(p.ends, to)
}

// add records connections that the proxy must close when the test interrupts the proxy. During an interruption, add
// returns false.
func (p *tcpProxy) add(connections ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range connections {
		p.ends[conn] = true
	}
	return !p.cut
}

func (p *tcpProxy) setCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for conn := range p.ends {
			_ = conn.Close()
		}
	}
}
