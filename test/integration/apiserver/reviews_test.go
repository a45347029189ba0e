// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const tokenReviews = "tokenreviews"

func reviews(t *testing.T, resource string) int {
	t.Helper()
	total := 0
	text := string(wire.Configured(t, env.Cluster.Config()).Send(t, wire.Request{Path: "/metrics"}).Body)
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `resource="`+resource+`"`) {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		total += int(n)
	}
	return total
}

// TestInventedTokensElsewhere verifies that many requests with forged tokens, for paths such as /metrics, cause
// a limited number of TokenReviews. The requests do not block other clients.
func TestInventedTokensElsewhere(t *testing.T) {
	const tokens, most = 400, 150
	c := at(t, replicaWith(t, behindProxy).Endpoint())
	before := reviews(t, tokenReviews)
	for n := range tokens {
		path := []string{"/livez", "/metrics", "/openapi/v2", "/nothing"}[n%4]
		invented := wire.Request{Path: path, Bearer: fmt.Sprintf("made-up-%d", n)}
		response := c.Send(t, from(fmt.Sprintf("2001:db8:bad:2::%x", n+1), invented))
		if response.Status != http.StatusUnauthorized && response.Status != http.StatusTooManyRequests {
			t.Errorf("%s: HTTP status %d", path, response.Status)
		}
	}
	if n := reviews(t, tokenReviews) - before; n > most {
		t.Errorf("the host received %d reviews for %d forged tokens", n, tokens)
	}
	if response := c.Send(t, from("2001:db8:bad:2::1",
		wire.Request{Path: "/livez"})); response.Status != http.StatusOK {
		t.Errorf("a probe without a token: HTTP status %d", response.Status)
	}
	before = reviews(t, tokenReviews)
	c.Send(t, from("198.51.100.9", wire.Request{Path: "/metrics", Bearer: "made-up-by-another"}))
	if reviews(t, tokenReviews) == before {
		t.Error("a token of another issuer was not reviewed")
	}
}

// TestInventedPathsElsewhere verifies that many anonymous requests for nonexistent paths cause a limited number of
// SubjectAccessReviews, even if the requests come from many networks.
func TestInventedPathsElsewhere(t *testing.T) {
	const requests, most, kind = 600, 400, "subjectaccessreviews"
	c := at(t, replicaWith(t, behindProxy).Endpoint())
	before := reviews(t, kind)
	for n := range requests {
		response := c.Send(t, from(fmt.Sprintf("2001:db8:bad:3%02x::%x", n%256, n+1),
			wire.Request{Path: fmt.Sprintf("/nothing/%d", n)}))
		if response.Status != http.StatusForbidden && response.Status != http.StatusTooManyRequests {
			t.Errorf("HTTP status %d", response.Status)
		}
	}
	if n := reviews(t, kind) - before; n > most {
		t.Errorf("the host received %d calls for %d requests", n, requests)
	}
	if response := c.Send(t, from("2001:db8:bad:301::1",
		wire.Request{Path: "/livez"})); response.Status != http.StatusOK {
		t.Errorf("a probe: HTTP status %d", response.Status)
	}
	if response := c.Send(t, from("198.51.100.9",
		wire.Request{Path: "/nothing"})); response.Status != http.StatusForbidden {
		t.Errorf("from elsewhere: HTTP status %d", response.Status)
	}
}
