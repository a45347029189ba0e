// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// sized returns a round tripper to a simulated server. A query parameter of the request determines the size of the
// response.
func sized(sizes *listSizes, queue *budget.Queue, user string) *pacedRoundTripper {
	return &pacedRoundTripper{listQueue: queue, sizes: sizes, user: user,
		next: answering(func(r *http.Request) (*http.Response, error) {
			size, err := strconv.Atoi(r.URL.Query().Get("size"))
			if err != nil {
				return nil, err
			}
			return &http.Response{Body: io.NopCloser(strings.NewReader(strings.Repeat("x", size)))}, nil
		})}
}

// begin sends a request, and returns the unread response. It returns false if the request must wait.
func begin(ctx context.Context, t *testing.T, p *pacedRoundTripper, url string) (io.ReadCloser, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	response, err := p.RoundTrip(request) //nolint:bodyclose // the caller closes it
	if err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		return nil, false
	}
	return response.Body, true
}

// TestCostOfLists verifies the limit for concurrent list requests of one user:
//   - Many small lists can run at the same time, but only one large list.
//   - The expected size of a response is the size of the previous response to the same list request.
//   - The lists of one user delay neither other users nor requests that are not lists.
func TestCostOfLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		share := listShare * runtime.GOMAXPROCS(0)
		queue, sizes := newListQueue(), newListSizes()
		greedy, modest := sized(sizes, queue, "greedy"), sized(sizes, queue, "modest")
		lists := withListResponse(t.Context())
		small, large := "/pods?size=100", fmt.Sprintf("/pods?size=%d", 2*share)
		for _, url := range []string{small, large} { // records the sizes
			body, ok := begin(lists, t, greedy, url)
			if !ok {
				t.Fatal("the first list waits")
			}
			_, _ = io.Copy(io.Discard, body)
			_ = body.Close()
		}
		var open []io.Closer
		for page := range share / minListCost {
			body, ok := begin(lists, t, greedy, fmt.Sprintf("%s&continue=%d", small, page))
			if !ok {
				t.Fatalf("of small lists, %d are under way", len(open))
			}
			open = append(open, body)
		}
		if _, ok := begin(lists, t, greedy, small); ok {
			t.Error("there is no bound for small lists")
		}
		if other, ok := begin(t.Context(), t, greedy, small); ok {
			open = append(open, other)
		} else {
			t.Error("another call waits for lists")
		}
		for _, body := range open {
			_ = body.Close()
		}
		first, ok := begin(lists, t, greedy, large)
		if !ok {
			t.Fatal("a large list waits for nothing")
		}
		for _, url := range []string{small, large, large + "&continue=x"} {
			if _, ok := begin(lists, t, greedy, url); ok {
				t.Errorf("%s is under way beside a large list", url)
			}
		}
		if other, ok := begin(lists, t, modest, large); ok {
			_ = other.Close()
		} else {
			t.Error("another user waits")
		}
		_ = first.Close()
		unknown, ok := begin(lists, t, greedy, large+"&labelSelector=x")
		if !ok {
			t.Fatal("a list of unknown size waits for nothing")
		}
		_, _ = io.ReadFull(unknown, make([]byte, share)) // exceeds its expected cost
		if _, ok := begin(lists, t, greedy, small); ok {
			t.Error("a list does not count for what was read of it")
		}
		_ = unknown.Close()
		if body, ok := begin(lists, t, greedy, small); !ok {
			t.Error("something is left behind")
		} else {
			_ = body.Close()
		}
	})
}
