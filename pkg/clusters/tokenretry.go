// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"net/http"
	"strings"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/transport"
)

// withTokens returns a function that wraps a transport so that each request carries a token. A read or an access review
// that the cluster rejects with 401 is sent again with a new token.
func withTokens(tokens transport.ResettableTokenSource) transport.WrapperFunc {
	limited := &resetLimiter{ResettableTokenSource: tokens, now: time.Now}
	authenticate := transport.ResettableTokenSourceWrapTransport(limited)
	return func(next http.RoundTripper) http.RoundTripper {
		return &secondTry{next: authenticate(next)}
	}
}

// resetInterval is the minimum time between two resets of a cached ServiceAccount token. A reset drops the token, so
// that the next request uses a new token.
const resetInterval = 10 * time.Second

// resetLimiter resets the cached token at most once per resetInterval. A response with the status 401 does not prove
// that the token is invalid, because a kubelet or a Service behind the API server may have sent it. Without the limit,
// each such response would make all users wait for a new token.
type resetLimiter struct {
	transport.ResettableTokenSource

	now func() time.Time

	mu   sync.Mutex
	last time.Time
}

// ResetTokenOlderThan drops the cached token if it was requested before t and the last reset is at least resetInterval
// ago.
func (s *resetLimiter) ResetTokenOlderThan(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.last) >= resetInterval {
		s.last = now
		s.ResettableTokenSource.ResetTokenOlderThan(t)
	}
}

// secondTry sends a request again if the cluster responds with 401. The inner round tripper drops the rejected token,
// so the second request uses a new token. A token becomes invalid when its ServiceAccount is recreated, for example
// because the cluster was registered again.
type secondTry struct{ next http.RoundTripper }

var _ utilnet.RoundTripperWrapper = &secondTry{}

// WrappedRoundTripper implements utilnet.RoundTripperWrapper.
func (s *secondTry) WrappedRoundTripper() http.RoundTripper { return s.next }

// RoundTrip sends the request. If the response is 401 and isRepeatable returns true, it sends the request again.
func (s *secondTry) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.next.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || !isRepeatable(r) || r.Context().Err() != nil {
		return answer, err
	}
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return answer, nil //nolint:nilerr // the response stands
		}
	}
	_ = answer.Body.Close() // response.Transport has read the body into memory
	return s.next.RoundTrip(again)
}

// isRepeatable returns true if a request may be sent again after the status 401: for reads, and for access reviews,
// which change nothing in the cluster. It returns false for requests to a proxy subresource, because the proxied server
// may have sent the 401.
func isRepeatable(r *http.Request) bool {
	if strings.Contains(r.URL.Path+"/", "/proxy/") {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		return strings.HasPrefix(r.URL.Path, "/apis/authorization.k8s.io/") && (r.Body == nil || r.GetBody != nil)
	default:
		return false
	}
}
