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
	// parallel requests are under way at once in a wave, where nothing else is said.
	parallel = 500
	// patience is how long a request may take before the benchmark fails. The server gives up long before.
	patience = time.Minute
)

// crowd is a kind of clients: they log in, with a wrong password unless there is a Password, or do what one of Lists,
// Body and Invented says.
type crowd struct {
	Endpoint     string
	AuthorityPEM []byte
	// Size is how many there are; 0 for parallel.
	Size int
	// Forwarded clients come from another address with each request, by the word of a proxy.
	Forwarded bool
	// Lists is a path, and Bearer whose token reads it.
	Lists, Bearer string
	// Body is the size of what strangers send in place of a login, with a made-up token.
	Body int
	// Invented clients show refresh tokens that nobody has issued.
	Invented bool
	// Password is the right one of the user.
	Password string
	// Codes are those that answers may have; where there are none, the one of success or of a wrong login, and that of
	// too many.
	Codes []int
	// Repeat is how many requests each sends in a wave, one after the other; 0 for one.
	Repeat int
	// Shared clients have one HTTP/2 connection together. Some requests may have no answer: a server may end it.
	Shared bool
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
	f := &flood{crowd: c, codes: map[int]int{}, client: &http.Client{Timeout: patience, Transport: transport}}
	if c.Shared {
		f.client.Transport = &http2.Transport{TLSClientConfig: transport.TLSClientConfig, StrictMaxConcurrentStreams: true}
	}
	return f, nil
}

// wave sends as many requests at once as there are clients, and waits until all are answered.
func (f *flood) wave(ctx context.Context) error {
	var group sync.WaitGroup
	failures := make([]error, cmp.Or(f.Size, parallel))
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
	case f.Body > 0:
		r := fixture.LoginRequest(wire.DirectPath, "", "")
		r.Body, r.Bearer = strings.Repeat(" ", f.Body), "made-up"
		return r
	case f.Invented:
		return wire.Request{Method: http.MethodPost, Path: wire.DirectPath + "/auth/refresh", Body: `{"refreshToken":"` + invented() + `"}`}
	case f.Distinct:
		return fixture.LoginRequest(wire.DirectPath, fmt.Sprintf("%s-%d", f.Username, n), "wrong")
	default:
		return fixture.LoginRequest(wire.DirectPath, f.Username, cmp.Or(f.Password, "wrong"))
	}
}

// invented is a refresh token that nobody has issued, of the right form.
func invented() string {
	const secretBytes, codeBytes = 32, 16
	text := func(n int) string {
		raw := make([]byte, n)
		_, _ = rand.Read(raw)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	return strings.ToLower(ulid.Make().String()) + "." + text(secretBytes) + "." + text(codeBytes)
}

// expected are the codes that answers may have.
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

// noAnswer is the code of a request that ended without one.
const noAnswer = -1

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
		return fmt.Errorf("one of a crowd: %w", err)
	}
	f.count(code)
	return nil
}

func (f *flood) count(code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes[code]++
}
