// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// connection sends the same request repeatedly over one TLS connection. It replaces http.Transport, which passes each
// request and each response between goroutines. The switches between goroutines can take more processor time than a
// small response. The switches would slow down the servers, which run on the same machine.
type connection struct {
	conn    net.Conn
	in      *bufio.Reader
	request *http.Request
	raw     []byte
}

const responseBufferBytes = 64 << 10

func (c *contender) dial(ctx context.Context, client int) (*connection, error) {
	request, err := c.newRequest(ctx, client)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	if err := request.Write(&raw); err != nil {
		return nil, fmt.Errorf("writing a request: %w", err)
	}
	dialer := tls.Dialer{Config: c.tls}
	conn, err := dialer.DialContext(ctx, "tcp", request.URL.Host)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", c.name, err)
	}
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, responseBufferBytes), request: request,
		raw: raw.Bytes()}, nil
}

func (c *connection) answer() (refused bool, n int64, took time.Duration, err error) {
	begun := time.Now()
	if _, err := c.conn.Write(c.raw); err != nil {
		return false, 0, 0, fmt.Errorf("sending a request: %w", err)
	}
	response, err := http.ReadResponse(c.in, c.request) //nolint:bodyclose // readResponse closes it
	if err != nil {
		return false, 0, 0, fmt.Errorf("reading a response: %w", err)
	}
	refused, n, err = readResponse(response)
	return refused, n, time.Since(begun), err
}
