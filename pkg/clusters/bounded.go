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
	// maxResponseBytes bounds the body of a response of a cluster. A list of 5,000 Pods has only a seventh of this
	// size.
	maxResponseBytes = 256 << 20
	// maxErrorBytes bounds the body of an error response, which is read into memory as a whole.
	maxErrorBytes = 256 << 10
	// maxTokenResponseBytes bounds the response to a TokenRequest. Even the largest tokens are several times smaller.
	maxTokenResponseBytes = 64 << 10
	// maxDiscoveryBytes bounds a discovery document. With 2,000 CustomResourceDefinitions, a document has 2 MiB.
	maxDiscoveryBytes = 8 << 20
	// maxUnreadBytes bounds the received but unread bytes of one stream of an HTTP/2 connection.
	maxUnreadBytes = 256 << 10

	// maxRetryAfter is the maximum value of a Retry-After header. A header with a higher value is removed from the
	// response, so that client-go does not retry the request.
	maxRetryAfter = 5 * time.Second

	retryAfterHeader = "Retry-After"
)

// ErrTooLarge is returned when a response exceeds its size limit.
var ErrTooLarge error = response.NewFailure("the response is too large", nil)

// boundedRoundTripper limits the duration of requests and the size of responses. Some requests, such as watches, have
// no time limit. A response has no size limit if its reader limits each line, event or object.
type boundedRoundTripper struct {
	next    http.RoundTripper
	timeout time.Duration
	bytes   int64
}

// RoundTrip sends the request with a deadline, and returns a response whose body is bounded. It also removes a
// Retry-After header that is invalid or longer than maxRetryAfter.
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
	// The readers of these responses limit each line, event or object. Other watches keep the size limit.
	if isFollowed(r.Context()) || isForCache(r.Context()) || isWatch(r) && isReader(r.Context()) {
		left = math.MaxInt64 - 1
	}
	if response.StatusCode >= http.StatusBadRequest { // error responses always have a limit
		left = min(left, maxErrorBytes)
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: left, done: cancel}
	return response, nil
}

// windows returns an HTTP/2 configuration with small flow-control windows, so that a response uses little memory until
// it is read.
func windows() http.HTTP2Config {
	return http.HTTP2Config{
		SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
		MaxReceiveBufferPerStream: maxUnreadBytes, MaxReceiveBufferPerConnection: maxAtOnce * maxUnreadBytes,
	}
}

// isWatch returns true if the query of a request contains watch=true or watch=1. It returns false for a request to a
// proxy subresource, whose query is intended for the proxied server.
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
