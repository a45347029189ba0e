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

// withTokens returns a function that authenticates requests with tokens. If the cluster rejects the token of a request,
// the request is sent again with another token.
func withTokens(tokens transport.ResettableTokenSource) transport.WrapperFunc {
	limited := &resetLimiter{ResettableTokenSource: tokens, now: time.Now}
	authenticate := transport.ResettableTokenSourceWrapTransport(limited)
	return func(next http.RoundTripper) http.RoundTripper {
		return &secondTry{next: authenticate(next)}
	}
}

// resetInterval is the minimum time between two tokens that are dropped.
const resetInterval = 10 * time.Second

// resetLimiter drops a token at most once per resetInterval. A server behind an API server, such as a kubelet or a
// Service, may respond with the status of a rejected token. All users would wait for another token after each response.
type resetLimiter struct {
	transport.ResettableTokenSource

	now func() time.Time

	mu   sync.Mutex
	last time.Time
}

// ResetTokenOlderThan drops a token that was requested before a time.
func (s *resetLimiter) ResetTokenOlderThan(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.last) >= resetInterval {
		s.last = now
		s.ResettableTokenSource.ResetTokenOlderThan(t)
	}
}

// secondTry sends a request again if the cluster rejects its token. The next round tripper drops a rejected token. A
// token becomes invalid when its ServiceAccount is deleted and created again, for example by a new registration of the
// cluster.
type secondTry struct{ next http.RoundTripper }

var _ utilnet.RoundTripperWrapper = &secondTry{}

// WrappedRoundTripper implements utilnet.RoundTripperWrapper.
func (s *secondTry) WrappedRoundTripper() http.RoundTripper { return s.next }

// RoundTrip sends the request. If the cluster rejects its token and the request is repeatable, it sends the request
// again.
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

// isRepeatable returns true for reads and for access reviews, which a cluster does not store. It returns false for
// requests through the proxy of an API server, because the proxied server may respond with the same status.
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
