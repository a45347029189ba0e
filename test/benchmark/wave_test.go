// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
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

	"github.com/oklog/ulid/v2"
	"golang.org/x/net/http2"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	defaultClients = 500
	// requestTimeout is the maximum duration of a request. It is longer than the time limit of a handler in the server
	// (55 s). If a request takes longer, the benchmark fails, unless the clients share a connection.
	requestTimeout = time.Minute
)

// crowd describes the clients of a flood. By default, they log in with a wrong password. Password, Lists, Body and
// Invented select other requests.
type crowd struct {
	Endpoint     string
	AuthorityPEM []byte
	// Size is the number of clients. 0 means defaultClients.
	Size int
	// Forwarded is true if each request has a different client address, in the header of a trusted proxy.
	Forwarded bool
	// Lists is the path of a list that the clients request. Bearer is the token for it.
	Lists, Bearer string
	// Body is the size of the request body in bytes. If Body is not 0, the clients do not log in. They send a body of
	// spaces with an invalid access token.
	Body int
	// Invented is true if the clients send refresh tokens that were never issued.
	Invented bool
	// Password is the correct password of the user.
	Password string
	// Codes are the allowed codes of responses. If Codes is nil, two codes are allowed. One is wire.TooManyRequests.
	// The other is wire.OK if Lists or Password is set, and wire.Unauthenticated if not.
	Codes []int
	// Repeat is the number of sequential requests of each client in a wave. 0 means one.
	Repeat int
	// Shared is true if the clients share one HTTP/2 connection. Some requests may then have no response, because the
	// server may close the connection.
	Shared bool
	// Username is the user name of all clients. If Distinct is true, it is the prefix of their user names.
	Username string
	Distinct bool
	// Scattered is true if each client uses a separate address in 127.0.0.0/8, which belongs to this machine.
	// Otherwise, all clients use one address.
	Scattered bool
	// Reconnect is true if a client opens a connection for each login. Otherwise, each client keeps its connection.
	Reconnect bool
}

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
		MaxIdleConnsPerHost: defaultClients, MaxConnsPerHost: defaultClients, DisableKeepAlives: c.Reconnect,
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
	f := &flood{crowd: c, codes: map[int]int{}, client: &http.Client{Timeout: requestTimeout, Transport: transport}}
	if c.Shared {
		f.client.Transport = &http2.Transport{TLSClientConfig: transport.TLSClientConfig,
			StrictMaxConcurrentStreams: true}
	}
	return f, nil
}

func (f *flood) wave(ctx context.Context) error {
	var group sync.WaitGroup
	failures := make([]error, cmp.Or(f.Size, defaultClients))
	for i := range failures {
		group.Go(func() {
			for range max(f.Repeat, 1) {
				if failures[i] = f.send(ctx); failures[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	for _, err := range failures {
		if err != nil { // one error is sufficient, because the errors are usually equal
			return err
		}
	}
	return nil
}

func (f *flood) next() wire.Request {
	n := f.sent.Add(1)
	switch {
	case f.Lists != "":
		return wire.Request{Method: http.MethodGet, Path: f.Lists, Bearer: f.Bearer}
	case f.Body > 0:
		r := fixture.LoginRequest(wire.DirectPath, "", "")
		r.Body, r.Bearer = strings.Repeat(" ", f.Body), "made-up"
		return r
	case f.Invented:
		return wire.Request{Method: http.MethodPost, Path: wire.DirectPath + "/auth/refresh",
			Body: `{"refreshToken":"` + invented() + `"}`}
	case f.Distinct:
		return fixture.LoginRequest(wire.DirectPath, fmt.Sprintf("%s-%d", f.Username, n), "wrong")
	default:
		return fixture.LoginRequest(wire.DirectPath, f.Username, cmp.Or(f.Password, "wrong"))
	}
}

// invented returns a well-formed refresh token that was never issued.
func invented() string {
	const secretBytes, codeBytes = 32, 16
	text := func(n int) string {
		raw := make([]byte, n)
		_, _ = rand.Read(raw)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	return strings.ToLower(ulid.Make().String()) + "." + text(secretBytes) + "." + text(codeBytes)
}

func (c crowd) expected() []int {
	switch {
	case c.Codes != nil:
		return c.Codes
	case c.Lists != "", c.Password != "":
		return []int{wire.OK, wire.TooManyRequests}
	default:
		return []int{wire.Unauthenticated, wire.TooManyRequests}
	}
}

const noAnswer = -1

func (f *flood) send(ctx context.Context) error {
	r := f.next()
	request, err := http.NewRequestWithContext(ctx, r.Method, f.Endpoint+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return fmt.Errorf("creating a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if f.Forwarded {
		request.Header.Set("X-Forwarded-For", fixture.RandomAddress())
	}
	if r.Bearer != "" {
		request.Header.Set("Authorization", "Bearer "+r.Bearer)
	}
	answer, err := f.client.Do(request)
	if err != nil && f.Shared {
		f.count(noAnswer)
		return nil
	}
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil && f.Shared {
		f.count(noAnswer)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	response := &wire.Response{Status: answer.StatusCode, Protocol: answer.Proto, Header: answer.Header, Body: body}
	code, err := answered(response, f.expected()...)
	if err != nil {
		return fmt.Errorf("a request of the flood: %w", err)
	}
	f.count(code)
	return nil
}

func (f *flood) count(code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes[code]++
}
