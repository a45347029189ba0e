// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// maxAtOnce bounds the requests in flight to one member: a quarter of the requests that the server accepts, so that a
// member that does not respond leaves room for requests to other members.
const maxAtOnce = 100

// inFlightRoundTripper bounds the requests in flight. A request is in flight until the end of its response, or until
// the beginning of a response without an end.
type inFlightRoundTripper struct {
	next   http.RoundTripper
	places chan struct{}
}

func newLimited(places int, next http.RoundTripper) *inFlightRoundTripper {
	return &inFlightRoundTripper{next: next, places: make(chan struct{}, places)}
}

// RoundTrip sends the request. It returns ErrNotConnected if too many requests are in flight.
func (l *inFlightRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case l.places <- struct{}{}:
	default:
		return nil, fmt.Errorf("%w: %d requests to the cluster are already in flight", ErrNotConnected, cap(l.places))
	}
	leave := sync.OnceFunc(func() { <-l.places })
	response, err := l.next.RoundTrip(r)
	if err != nil {
		leave()
		return nil, err
	}
	if isEndless(r) {
		leave()
	}
	response.Body = &placedBody{ReadCloser: response.Body, leave: leave}
	return response, nil
}

type placedBody struct {
	io.ReadCloser
	leave func()
}

// Close closes the body and releases the place of the request.
func (b *placedBody) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}
