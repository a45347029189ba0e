// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"cmp"
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
	// parallel requests are under way at once in a wave, where nothing else is said.
	parallel = 500
	// patience is how long a request may take before the benchmark fails. The server gives up long before.
	patience = time.Minute
)

// crowd is a kind of clients who log in with a wrong password, or with Lists all read the same as one user.
type crowd struct {
	Endpoint     string
	AuthorityPEM []byte
	// Size is how many there are; 0 for parallel.
	Size int
	// Forwarded clients come from another address with each request, by the word of a proxy.
	Forwarded bool
	// Lists is a path, and Bearer whose token reads it.
	Lists, Bearer string
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
		MaxIdleConnsPerHost: parallel, MaxConnsPerHost: parallel, DisableKeepAlives: c.Reconnect,
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
	return &flood{crowd: c, codes: map[int]int{}, client: &http.Client{Timeout: patience, Transport: transport}}, nil
}

// wave sends as many requests at once as there are clients, and waits until all are answered.
func (f *flood) wave(ctx context.Context) error {
	var group sync.WaitGroup
	failures := make([]error, cmp.Or(f.Size, parallel))
	for i := range failures {
		group.Go(func() { failures[i] = f.send(ctx) })
	}
	group.Wait()
	for _, err := range failures {
		if err != nil { // the others are likely to say the same
			return err
		}
	}
	return nil
}

// next is what the next of the crowd asks.
func (f *flood) next() wire.Request {
	n := f.sent.Add(1)
	switch {
	case f.Lists != "":
		return wire.Request{Method: http.MethodGet, Path: f.Lists, Bearer: f.Bearer}
	case f.Distinct:
		return fixture.LoginRequest(wire.DirectPath, fmt.Sprintf("%s-%d", f.Username, n), "wrong")
	default:
		return fixture.LoginRequest(wire.DirectPath, f.Username, "wrong")
	}
}

func (f *flood) send(ctx context.Context) error {
	r := f.next()
	request, err := http.NewRequestWithContext(ctx, r.Method, f.Endpoint+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if f.Forwarded {
		request.Header.Set("X-Forwarded-For", anywhere())
	}
	if r.Bearer != "" {
		request.Header.Set("Authorization", "Bearer "+r.Bearer)
	}
	answer, err := f.client.Do(request)
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	response := &wire.Response{Status: answer.StatusCode, Protocol: answer.Proto, Header: answer.Header, Body: body}
	expected := wire.Unauthenticated
	if f.Lists != "" {
		expected = wire.OK
	}
	code, err := answered(response, expected, wire.TooManyRequests)
	if err != nil {
		return fmt.Errorf("one of a crowd: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes[code]++
	return nil
}
