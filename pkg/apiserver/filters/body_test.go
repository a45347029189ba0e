// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const testBytesInFlight = 32 << 20

func newTestBodies() *Bodies {
	return NewBodies(testBytesInFlight, func(r *http.Request) Origin {
		return Origin{Network: r.RemoteAddr, Known: strings.HasPrefix(r.RemoteAddr, "203.0.113.")}
	})
}

// as returns a request of a user, or an anonymous request if the name is empty.
func as(t *testing.T, name, method string, body io.Reader) *http.Request {
	t.Helper()
	u := &user.DefaultInfo{Name: name}
	if name == "" {
		u = &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	}
	return httptest.NewRequestWithContext(genericapirequest.WithUser(t.Context(), u), method, "/api/v1/x", body)
}

// TestTheBodyIsBounded verifies the maximum size of a request body, which is larger for authenticated users. An
// Authorization header in an anonymous request does not raise the maximum.
func TestTheBodyIsBounded(t *testing.T) {
	sized := func(n int) io.Reader { return strings.NewReader(strings.Repeat("x", n)) }
	for name, tc := range map[string]struct {
		user, method string
		size         int
		change       func(*http.Request)
		want         int
		field        string
	}{
		"anonymous":            {"", http.MethodPost, MaxSmallBodyBytes, nil, 0, ""},
		"anonymous, too large": {"", http.MethodPost, MaxSmallBodyBytes + 1, nil, 40002, "body"},
		"anonymous, with a header": {
			"", http.MethodPost, MaxSmallBodyBytes + 1,
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 40002, "body",
		},
		"large":     {"alice", http.MethodPost, MaxBodyBytes, nil, 0, ""},
		"too large": {"alice", http.MethodPost, MaxBodyBytes + 1, nil, 40002, "body"},
		"of a read": {"alice", http.MethodGet, MaxSmallBodyBytes + 1, nil, 40002, "body"},
		"chunked": {"alice", http.MethodPost, MaxBodyBytes,
			func(r *http.Request) { r.ContentLength = -1 }, 0, ""},
		"chunked, larger": {"", http.MethodPost, MaxSmallBodyBytes + 1, func(r *http.Request) { r.ContentLength = -1 },
			40002, "body"},
		"a lie": {"alice", http.MethodPost, 10, func(r *http.Request) { r.ContentLength = MaxBodyBytes + 1 },
			40002, "body"},
		"compressed": {"alice", http.MethodPost, 10, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
			40002, "Content-Encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			r := as(t, tc.user, tc.method, sized(tc.size))
			if tc.change != nil {
				tc.change(r)
			}
			read := -1
			bodies := newTestBodies()
			got := send(t, WithBody(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				read = len(body)
				envelope.WriteData(r.Context(), w, nil, dashboardv1alpha1.Meta{})
			}), bodies), r)
			if got.Code != tc.want || (tc.want == 0 && read != tc.size) || (tc.want != 0 && read != -1) ||
				got.Meta.Field != tc.field {
				t.Errorf("code %d at %q, want %d at %q; the handler read %d of %d bytes", got.Code, got.Meta.Field,
					tc.want, tc.field, read, tc.size)
			}
			if used := bodies.users.Used() + bodies.known.Used() + bodies.strangers.Used(); used != 0 {
				t.Errorf("%d bytes are held afterwards", used)
			}
		})
	}
}

// TestBytesOfBodiesAreBounded verifies that one client, or many anonymous clients together, cannot use all memory for
// request bodies. The server still accepts the bodies of other clients.
func TestBytesOfBodiesAreBounded(t *testing.T) {
	b := newTestBodies()
	hold := func(name, address string, size int) error {
		r := as(t, name, http.MethodPost, strings.NewReader(strings.Repeat("x", size)))
		r.RemoteAddr = address
		_, err := b.read(r) // the body is not closed, because the request continues
		return err
	}
	fill := func(name string, address func(int) string, size int) (bytes int) {
		for i := range 10000 {
			if err := hold(name, address(i), size); err != nil {
				if e := envelope.As(err); e.Code != dashboardv1alpha1.CodeTooManyRequests || e.RetryAfterSeconds == 0 {
					t.Errorf("%v", err)
				}
				return bytes
			}
			bytes += size
		}
		t.Fatalf("%q holds %d bytes without a bound", name, bytes)
		return 0
	}
	if got := fill("", func(int) string { return "192.0.2.1" }, MaxSmallBodyBytes-1); got > maxBytesPerUnknown {
		t.Errorf("one network holds %d bytes", got)
	}
	if err := hold("", "192.0.2.2", 100); err != nil {
		t.Errorf("a login from another address: %v", err)
	}
	all := fill("", func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, MaxSmallBodyBytes-1)
	if all > testBytesInFlight/strangersPart {
		t.Errorf("strangers hold %d bytes", all)
	}
	if err := hold("", "203.0.113.1", 100); err != nil {
		t.Errorf("a login from a known network beside all strangers: %v", err)
	}
	known := func(i int) string { return fmt.Sprintf("203.0.113.%d", i) }
	if got := fill("", known, MaxSmallBodyBytes-1); got > testBytesInFlight/knownPart {
		t.Errorf("known networks hold %d bytes", got)
	}
	b.strangers = newTestBodies().strangers
	if err := hold("", "203.0.113.200", 100); err != nil {
		t.Errorf("a login from a known network beside all known ones: %v", err)
	}
	if got := fill("greedy", func(int) string { return "" }, 1<<20); got > testBytesInFlight/2 {
		t.Errorf("one user holds %d bytes", got)
	}
	if err := hold("other", "", MaxBodyBytes); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// TestHeadersCountWithTheBody verifies that large headers count towards the memory limit for request bodies. The server
// keeps the headers of a request in memory while the body arrives.
func TestHeadersCountWithTheBody(t *testing.T) {
	b, held := newTestBodies(), 0
	for range 1000 {
		r := as(t, "", http.MethodPost, strings.NewReader("{"))
		r.RemoteAddr = "192.0.2.1"
		r.Header.Set("X-Header", strings.Repeat("x", MaxHeaderBytes-200))
		if _, err := b.read(r); err != nil {
			break
		}
		held += MaxHeaderBytes
	}
	if held == 0 || held > maxBytesPerUnknown {
		t.Errorf("the headers of one network hold %d bytes", held)
	}
}
