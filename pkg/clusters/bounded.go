// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

const (
	// maxResponseBytes is the largest response of a cluster that is read: seven times a list of 5,000 Pods.
	maxResponseBytes = 256 << 20
	// maxErrorBytes is the largest error response. The server holds all of it, and repeats some of it.
	maxErrorBytes = 256 << 10
	// maxTokenResponseBytes is the largest response to a TokenRequest: several times the largest token.
	maxTokenResponseBytes = 64 << 10
	// maxDiscoveryBytes is the largest discovery document. The document of 2,000 CustomResourceDefinitions has 2 MiB.
	maxDiscoveryBytes = 8 << 20
	// maxUnreadBytes is the part of a response that may arrive before it is read, on an HTTP/2 connection with
	// maxAtOnce streams.
	maxUnreadBytes = 256 << 10

	// maxRetryAfter is the longest Retry-After that a call waits for. A call that is asked to wait longer fails at
	// once.
	maxRetryAfter = 5 * time.Second

	retryAfterHeader = "Retry-After"
)

// ErrTooLarge is returned when a response exceeds its bound.
var ErrTooLarge error = response.NewFailure("the response is too large", nil)

// boundedRoundTripper limits the duration and the size of responses. It does not limit the duration of a watch or of a
// log that is followed, nor the size of such a log or of a watch of the read cache, whose readers bound each line or
// event.
type boundedRoundTripper struct {
	next    http.RoundTripper
	timeout time.Duration
	bytes   int64
}

// RoundTrip sends a request with a deadline.
func (b *boundedRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	cancel := context.CancelFunc(func() {})
	if !isEndless(r) {
		var ctx context.Context
		ctx, cancel = context.WithTimeout(r.Context(), b.timeout)
		r = r.WithContext(ctx)
	}
	response, err := b.next.RoundTrip(r)
	if err != nil {
		cancel()
		return nil, err
	}
	if seconds, err := strconv.Atoi(response.Header.Get(retryAfterHeader)); err != nil ||
		seconds > int(maxRetryAfter.Seconds()) {
		response.Header.Del(retryAfterHeader)
	}
	left := b.bytes
	if isFollowed(r.Context()) || isWatch(r) && isReader(r.Context()) {
		left = math.MaxInt64 - 1
	}
	if response.StatusCode >= http.StatusBadRequest {
		left = min(left, maxErrorBytes)
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: left, done: cancel}
	return response, nil
}

// windows limits the bytes that are received before they are read, so that responses that wait for a turn are not in
// memory.
func windows() http.HTTP2Config {
	return http.HTTP2Config{
		SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
		MaxReceiveBufferPerStream: maxUnreadBytes, MaxReceiveBufferPerConnection: maxAtOnce * maxUnreadBytes,
	}
}

// isWatch returns whether a request is a watch. The query of a request through the proxy of an API server is that of
// the user, and says nothing about the API server.
func isWatch(r *http.Request) bool {
	if strings.Contains(r.URL.Path, "/api/v1/") && strings.Contains(r.URL.Path+"/", "/proxy/") {
		return false
	}
	watch := r.URL.Query().Get("watch")
	return watch == "true" || watch == "1"
}

type boundedBody struct {
	io.ReadCloser
	left int64
	done context.CancelFunc
}

// Read returns ErrTooLarge when the body exceeds its bound.
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

// Close closes the body and cancels the context of the request.
func (b *boundedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
