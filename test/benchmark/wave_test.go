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
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// parallelLogins are under way at once in a wave.
	parallelLogins = 500
	// waveInterval is from the start of a wave to that of the next at least: without it, logins that are refused at once would come as
	// fast as this process can send them, and it is the sender who would take the processors from the bystander.
	waveInterval = time.Second
	// loginTimeout is how long a login may take before the benchmark fails. The server gives up long before.
	loginTimeout = time.Minute
)

// crowd is a kind of clients who log in with a wrong password.
type crowd struct {
	// username is that of the n-th login.
	username func(n int) string
	// scattered clients come from an address each: all of 127.0.0.0/8 is this machine. Otherwise they share one.
	scattered bool
	// reconnect makes a connection for each login. Otherwise each client keeps its own.
	reconnect bool
}

// flood is a crowd at work.
type flood struct {
	crowd
	client *http.Client
	sent   atomic.Int64

	mu    sync.Mutex
	codes map[int]int
}

func newFlood(b *testing.B, c crowd) *flood {
	b.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(env.KubeVision.CAPEM()) {
		b.Fatal("no certificate authority in the PEM text")
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: parallelLogins, MaxConnsPerHost: parallelLogins, DisableKeepAlives: c.reconnect,
	}
	var address atomic.Uint32
	address.Store(0x7f_01_00_00) // 127.1.0.0
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		dialer := net.Dialer{}
		if c.scattered {
			dialer.LocalAddr = &net.TCPAddr{IP: binary.BigEndian.AppendUint32(nil, address.Add(1))}
		}
		return dialer.DialContext(ctx, network, to)
	}
	b.Cleanup(transport.CloseIdleConnections)
	return &flood{crowd: c, codes: map[int]int{}, client: &http.Client{Timeout: loginTimeout, Transport: transport}}
}

// waves sends one after the other for a time: each when the one before has been answered and is an interval old.
func (f *flood) waves(ctx context.Context, length time.Duration) error {
	for begun := time.Now(); time.Since(begun) < length; {
		next := time.After(waveInterval)
		if err := f.wave(ctx); err != nil {
			return err
		}
		<-next
	}
	return nil
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
	r := fixture.LoginRequest(wire.DirectPath, f.username(int(f.sent.Add(1))), "wrong")
	request, err := http.NewRequestWithContext(ctx, r.Method, env.KubeVision.Endpoint()+r.Path, strings.NewReader(r.Body))
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

// report says how the logins were answered.
func (f *flood) report(b *testing.B) {
	b.Helper()
	for _, code := range []int{wire.Unauthenticated, wire.TooManyRequests} {
		b.ReportMetric(float64(f.codes[code])/float64(f.sent.Load()), fmt.Sprintf("share-%d", code))
	}
}
