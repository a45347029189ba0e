// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestLimited verifies the limit for the number of requests in flight to one cluster:
//   - At the limit, a further request fails immediately.
//   - A request is in flight until the response body is closed.
//   - A watch request is in flight only until the response begins.
func TestLimited(t *testing.T) {
	const places = 3
	arrived, release := make(chan struct{}), make(chan error)
	l := newLimited(places, answering(func(*http.Request) (*http.Response, error) {
		arrived <- struct{}{}
		if err := <-release; err != nil {
			return nil, err
		}
		return &http.Response{Body: http.NoBody}, nil
	}))
	bodies := make(chan io.Closer, places)
	send := func(target string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		response, err := l.RoundTrip(r) //nolint:bodyclose // the receiver of bodies closes it
		if err != nil {
			bodies <- http.NoBody
			return
		}
		bodies <- response.Body
	}
	full := func(when string) {
		t.Helper()
		response, err := l.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if !errors.Is(err, ErrNotConnected) {
			t.Fatalf("%s: %v, want %v", when, err, errors.Join(ErrNotConnected, response.Body.Close()))
		}
	}
	occupy := func(target string) {
		go send(target)
		<-arrived
	}
	for range places {
		occupy("/")
	}
	full("where all wait")
	release <- nil
	read := <-bodies
	full("where a response is not read yet")
	for range 2 { // closing a body twice must release one place
		if err := read.Close(); err != nil {
			t.Error(err)
		}
	}
	occupy("/")
	full("after one was read")
	release <- errors.New("connection reset by peer")
	<-bodies
	occupy("/?watch=true")
	full("while a watch begins")
	for range places { // one of these requests is the watch
		release <- nil
		<-bodies
	}
	occupy("/")
	if n := len(l.places); n != places {
		t.Errorf("%d places are taken, want %d: those of the two that are not read and of the one that waits", n,
			places)
	}
	release <- nil
	<-bodies
}
