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
	// maxResponseBytes bounds a response of a cluster: it is seven times the size of a list of 5,000 Pods.
	maxResponseBytes = 256 << 20
	// maxErrorBytes bounds an error response. The server holds all of it in memory, and returns a part of it.
	maxErrorBytes = 256 << 10
	// maxTokenResponseBytes bounds the response to a TokenRequest. It is several times the size of the largest token.
	maxTokenResponseBytes = 64 << 10
	// maxDiscoveryBytes bounds a discovery document. The document of 2,000 CustomResourceDefinitions has 2 MiB.
	maxDiscoveryBytes = 8 << 20
	// maxUnreadBytes bounds the unread bytes of a response on an HTTP/2 connection with maxAtOnce streams.
	maxUnreadBytes = 256 << 10

	// maxRetryAfter is the longest Retry-After for which a call waits. A call with a longer Retry-After fails at once.
	maxRetryAfter = 5 * time.Second

	retryAfterHeader = "Retry-After"
)

// ErrTooLarge is returned when a response exceeds its bound.
var ErrTooLarge error = response.NewFailure("the response is too large", nil)

// boundedRoundTripper limits the duration and the size of responses. It limits neither the duration of watches, nor the
// duration and the size of followed logs and of lists of the read cache, nor the size of watches of the read cache. The
// readers of those responses bound each line, event or object.
type boundedRoundTripper struct {
	next    http.RoundTripper
	timeout time.Duration
	bytes   int64
}

// RoundTrip sends the request with a deadline, and returns a response whose body is bounded.
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
	if isFollowed(r.Context()) || isCached(r.Context()) || isWatch(r) && isReader(r.Context()) {
		left = math.MaxInt64 - 1
	}
	if response.StatusCode >= http.StatusBadRequest {
		left = min(left, maxErrorBytes)
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: left, done: cancel}
	return response, nil
}

// windows returns flow-control windows that limit unread bytes, so that responses that wait for a turn do not use
// memory.
func windows() http.HTTP2Config {
	return http.HTTP2Config{
		SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
		MaxReceiveBufferPerStream: maxUnreadBytes, MaxReceiveBufferPerConnection: maxAtOnce * maxUnreadBytes,
	}
}

// isWatch returns true if a request is a watch. It ignores the query of a request through the proxy of an API server,
// because the query is intended for the proxied server.
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
