// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func connect(t *testing.T, to, from, text string) net.Conn {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(env.KubeVision.CAPEM()) {
		t.Error("no certificate authority")
		return nil
	}
	dialer := &tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second},
		Config:    &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ServerName: "localhost"},
	}
	c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(to, "https://"))
	if err != nil {
		return nil // the server may close connections
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, _ = c.Write([]byte(text))
	return c
}

// TestUnfinishedHeaders verifies that the server needs limited memory for many connections with incomplete requests.
// Meanwhile, the server responds to complete requests.
func TestUnfinishedHeaders(t *testing.T) {
	for name, tc := range map[string]struct {
		connections int
		text        string
	}{
		"large headers":    {600, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Header: " + strings.Repeat("x", 900<<10)},
		"idle connections": {6000, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := replica(t)
			ns := set().Namespace(t, "unfinished")
			bearer := token(t, r, "dev", ns)
			var mu sync.Mutex
			var all sync.WaitGroup
			open := make([]net.Conn, 0, tc.connections)
			next := make(chan struct{}, tc.connections)
			for range tc.connections {
				next <- struct{}{}
			}
			close(next)
			for range 16 {
				all.Go(func() {
					for range next {
						if c := connect(t, r.Endpoint(), "127.0.0.7", tc.text); c != nil {
							mu.Lock()
							open = append(open, c)
							mu.Unlock()
						}
					}
				})
			}
			all.Wait()
			answered(t, get(r.Endpoint(), "/clusters/"+host+"/namespaces/"+ns+"/resources/configmaps", bearer))
			survives(t, r, mostMiB)
			for _, c := range open {
				_ = c.Close()
			}
		})
	}
}
