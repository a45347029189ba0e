// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// contender is one of the servers that BenchmarkCachedList compares. It also contains the measured results.
type contender struct {
	name string
	tls  *tls.Config
	url  string
	// headers contains the request headers of each user. Several clients may send requests as the same user.
	headers []http.Header
	// pids are the processes that serve the requests.
	pids []int

	mu      sync.Mutex
	took    durations
	bytes   int64
	refused int
	spent   time.Duration
	cpu     time.Duration
}

// turnPause is the pause before a server is measured. In this time, the garbage collector of the previous server
// can finish.
const turnPause = 100 * time.Millisecond

// send sends requests from several concurrent clients to the server c. The flag -turn specifies the duration. All
// clients connect before the first request.
func (c *contender) send(b *testing.B, clients int) {
	b.Helper()
	connections := make([]*connection, clients)
	defer func() {
		for _, open := range connections {
			if open != nil {
				_ = open.conn.Close()
			}
		}
	}()
	for i := range connections {
		var err error
		if connections[i], err = c.dial(b.Context(), i); err != nil {
			b.Fatal(err)
		}
	}
	time.Sleep(turnPause)
	before := c.processorTime(b)
	begun := time.Now()
	var group errgroup.Group
	for _, open := range connections {
		group.Go(func() error { return c.repeat(open, begun) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	c.spent += time.Since(begun)
	c.cpu += c.processorTime(b) - before
}

func (c *contender) repeat(open *connection, begun time.Time) error {
	var took durations
	var bytes int64
	var refused int
	for time.Since(begun) < *turnTime {
		denied, n, d, err := open.answer()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", c.name, err)
		case denied:
			refused++
		default:
			took, bytes = append(took, d), bytes+n
		}
	}
	c.count(took, bytes, refused)
	return nil
}

func (c *contender) count(took durations, bytes int64, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took, c.bytes, c.refused = append(c.took, took...), c.bytes+bytes, c.refused+refused
}

func (c *contender) once(ctx context.Context, client int) error {
	open, err := c.dial(ctx, client)
	if err != nil {
		return err
	}
	defer func() { _ = open.conn.Close() }()
	denied, n, took, err := open.answer()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", c.name, err)
	case denied:
		c.count(nil, 0, 1)
	default:
		c.count(durations{took}, n, 0)
	}
	return nil
}

func (c *contender) newRequest(ctx context.Context, client int) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, http.NoBody)
	if err != nil {
		return nil, err //nolint:wrapcheck // impossible
	}
	if len(c.headers) > 0 {
		request.Header = c.headers[client%len(c.headers)]
	}
	return request, nil
}

// open sends one request over a new connection. The connection is closed after the response has been read.
func (c *contender) open(ctx context.Context, client int) (*http.Response, error) {
	request, err := c.newRequest(ctx, client)
	if err != nil {
		return nil, err
	}
	request.Close = true
	transport := &http.Transport{TLSClientConfig: c.tls, DisableCompression: true}
	return (&http.Client{Transport: transport}).Do(request) //nolint:wrapcheck // the error contains the request
}

// readResponse reads and closes the body of a response. It returns true if KubeVision rejected the request because of
// too many requests. n is the length of the body in bytes.
func readResponse(response *http.Response) (refused bool, n int64, err error) {
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return false, 0, fmt.Errorf("HTTP %d", response.StatusCode)
	}
	start := make([]byte, 64)
	read, err := io.ReadFull(response.Body, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, 0, fmt.Errorf("reading a response: %w", err)
	}
	start = start[:read]
	// The code of KubeVision's response is not compressed, even if the rest of the body is.
	if _, code, ok := bytes.Cut(start, []byte(`{"code":`)); ok && !bytes.HasPrefix(code, []byte("0,")) {
		if !bytes.HasPrefix(code, []byte("42900,")) {
			return false, 0, fmt.Errorf("the answer is %s", start)
		}
		refused = true
	}
	rest, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return false, 0, fmt.Errorf("reading a response: %w", err)
	}
	return refused, int64(read) + rest, nil
}

func (c *contender) rate() float64 { return float64(len(c.took)) / max(c.spent.Seconds(), 1e-9) }

// clockTicks is the number of ticks per second in which Linux reports processor time to programs.
const clockTicks = 100

func (c *contender) processorTime(b *testing.B) time.Duration {
	b.Helper()
	var ticks int64
	for _, pid := range c.pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatal(err)
		}
		const user, system = 11, 12 // after the name of the program, see proc(5)
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, field := range []int{user, system} {
			n, err := strconv.ParseInt(fields[field], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / clockTicks
}
