// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// maxAtOnce requests to one member are under way at a time: a quarter of those that the server takes, so that a member that does not answer
// leaves room for those of the others.
const maxAtOnce = 100

// limited bounds how many requests are under way, until their response is read. A watch counts until it has begun.
type limited struct {
	next   http.RoundTripper
	places chan struct{}
}

func newLimited(places int, next http.RoundTripper) *limited {
	return &limited{next: next, places: make(chan struct{}, places)}
}

// RoundTrip is ErrNotConnected where too many wait already.
func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case l.places <- struct{}{}:
	default:
		return nil, fmt.Errorf("%w: %d requests wait for its answer", ErrNotConnected, cap(l.places))
	}
	leave := sync.OnceFunc(func() { <-l.places })
	response, err := l.next.RoundTrip(r)
	if err != nil {
		leave()
		return nil, err
	}
	if isWatch(r) {
		leave()
	}
	response.Body = &placedBody{ReadCloser: response.Body, leave: leave}
	return response, nil
}

type placedBody struct {
	io.ReadCloser
	leave func()
}

// Close makes room for another request.
func (b *placedBody) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}
