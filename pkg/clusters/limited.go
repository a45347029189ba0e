// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// maxAtOnce bounds the requests in flight to one member cluster. It is a quarter of the requests that KubeVision serves
// at the same time. Therefore, KubeVision still serves requests to other clusters when one member cluster does not
// respond.
const maxAtOnce = 100

// inFlightRoundTripper bounds the requests in flight. A request with a time limit is in flight until its response body
// is closed. A request without a time limit, such as a watch, is in flight only until its response begins.
type inFlightRoundTripper struct {
	next   http.RoundTripper
	places chan struct{}
}

func newLimited(places int, next http.RoundTripper) *inFlightRoundTripper {
	return &inFlightRoundTripper{next: next, places: make(chan struct{}, places)}
}

// RoundTrip sends the request. If too many requests to the cluster are already in flight, it does not send the request.
// It then returns ErrNotConnected, as for a cluster that cannot be reached.
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

// Close closes the body. The request is then no longer in flight.
func (b *placedBody) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}
