// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// maxResponseBytes is the largest response of a cluster that is read: seven times a list of 5,000 Pods.
const maxResponseBytes = 256 << 20

var errTooLarge = errors.New("the response is too large")

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
	response.Body = &boundedBody{ReadCloser: response.Body, left: b.bytes, done: cancel}
	return response, nil
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
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// Close ends the request.
func (b *boundedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
