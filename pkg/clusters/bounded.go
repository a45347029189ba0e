// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters/answer"
)

const (
	// maxResponseBytes is the largest response of a cluster that is read: seven times a list of 5,000 Pods.
	maxResponseBytes = 256 << 20
	// maxErrorBytes is the largest response that says that something failed: all of it is held, and some of it repeated.
	maxErrorBytes = 256 << 10
	// maxTokenResponseBytes is the largest answer to a request for a token: several times the largest token.
	maxTokenResponseBytes = 64 << 10
	// maxDiscoveryBytes is the largest document of discovery: that of two thousand CustomResourceDefinitions has 2 MiB.
	maxDiscoveryBytes = 8 << 20
	// maxUnreadBytes is how much of a response may arrive before it is read, on an HTTP/2 connection with maxAtOnce of them.
	maxUnreadBytes = 256 << 10

	// maxRetryAfter is the longest that a cluster may ask to be left alone for before a call is made again. Who is asked to come back later
	// than that fails now.
	maxRetryAfter = 5 * time.Second

	retryAfterHeader = "Retry-After"
)

// ErrTooLarge is returned where a response is larger than it may be.
var ErrTooLarge error = answer.NewFailure("the response is too large", nil)

// bounded bounds how long a response may take and how large it may be, whatever the cluster sends. A watch may take as long as it likes.
type bounded struct {
	next    http.RoundTripper
	timeout time.Duration
	bytes   int64
}

// RoundTrip sends a request that ends in time.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	cancel := context.CancelFunc(func() {})
	if !isWatch(r) {
		var ctx context.Context
		ctx, cancel = context.WithTimeout(r.Context(), b.timeout)
		r = r.WithContext(ctx)
	}
	response, err := b.next.RoundTrip(r)
	if err != nil {
		cancel()
		return nil, err
	}
	if seconds, err := strconv.Atoi(response.Header.Get(retryAfterHeader)); err != nil || seconds > int(maxRetryAfter.Seconds()) {
		response.Header.Del(retryAfterHeader)
	}
	left := b.bytes
	if response.StatusCode >= http.StatusBadRequest {
		left = min(left, maxErrorBytes)
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: left, done: cancel}
	return response, nil
}

// windows bounds what is received before it is read, so that responses that wait for their turn are not in memory.
func windows() http.HTTP2Config {
	return http.HTTP2Config{
		SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
		MaxReceiveBufferPerStream: maxUnreadBytes, MaxReceiveBufferPerConnection: maxAtOnce * maxUnreadBytes,
	}
}

func isWatch(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch == "true" || watch == "1"
}

type boundedBody struct {
	io.ReadCloser
	left int64
	done context.CancelFunc
}

// Read is an error where there is more than may be.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// Close ends the request.
func (b *boundedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
