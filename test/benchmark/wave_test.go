// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// parallelLogins are under way at once in a wave.
	parallelLogins = 500
	// loginTimeout is how long a login may take before the benchmark fails. The server gives up long before.
	loginTimeout = time.Minute
)

// crowd is a kind of clients who log in with a wrong password.
type crowd struct {
	Endpoint     string
	AuthorityPEM []byte
	// Username is that of all, or with Distinct what each one's begins with.
	Username string
	Distinct bool
	// Scattered clients come from an address each: all of 127.0.0.0/8 is this machine. Otherwise they share one.
	Scattered bool
	// Reconnect makes a connection for each login. Otherwise each client keeps its own.
	Reconnect bool
}

// flood is a crowd at work.
type flood struct {
	crowd
	client *http.Client
	sent   atomic.Int64

	mu    sync.Mutex
	codes map[int]int
}

func newFlood(c crowd) (*flood, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.AuthorityPEM) {
		return nil, errors.New("no certificate authority in the PEM text")
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: parallelLogins, MaxConnsPerHost: parallelLogins, DisableKeepAlives: c.Reconnect,
	}
	var address atomic.Uint32
	address.Store(0x7f_01_00_00) // 127.1.0.0
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		dialer := net.Dialer{}
		if c.Scattered {
			dialer.LocalAddr = &net.TCPAddr{IP: binary.BigEndian.AppendUint32(nil, address.Add(1))}
		}
		return dialer.DialContext(ctx, network, to)
	}
	return &flood{crowd: c, codes: map[int]int{}, client: &http.Client{Timeout: loginTimeout, Transport: transport}}, nil
}

// wave sends as many logins at once as there are clients, and waits until all are answered.
func (f *flood) wave(ctx context.Context) error {
	var group sync.WaitGroup
	failures := make([]error, parallelLogins)
	for i := range failures {
		group.Go(func() { failures[i] = f.login(ctx) })
	}
	group.Wait()
	for _, err := range failures {
		if err != nil { // the others are likely to say the same
			return err
		}
	}
	return nil
}

func (f *flood) login(ctx context.Context) error {
	name := f.Username
	if n := f.sent.Add(1); f.Distinct {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	r := fixture.LoginRequest(wire.DirectPath, name, "wrong")
	request, err := http.NewRequestWithContext(ctx, r.Method, f.Endpoint+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return fmt.Errorf("making a login: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := f.client.Do(request)
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("reading the answer to a login: %w", err)
	}
	response := &wire.Response{Status: answer.StatusCode, Protocol: answer.Proto, Header: answer.Header, Body: body}
	code, err := answered(response, wire.Unauthenticated, wire.TooManyRequests)
	if err != nil {
		return fmt.Errorf("a wrong login: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes[code]++
	return nil
}
