// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// TestOversizedRequests verifies that WithEnvelope rejects requests with an oversized URL or oversized headers on all
// paths. WithEnvelope must not call the next handler for these requests.
func TestOversizedRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		target, header string
		field          string
		status         int
	}{
		"a path": {"/api/v1/" + strings.Repeat("a/", MaxURLBytes/2) + "a", "", "url",
			http.StatusRequestURITooLong},
		"a query": {"/api/v1/x?q=" + strings.Repeat("a,", MaxURLBytes/2), "", "url",
			http.StatusRequestURITooLong},
		"an escaped path": {"/api/v1/" + strings.Repeat("%20", MaxURLBytes), "", "url", http.StatusRequestURITooLong},
		"a header": {"/api/v1/x", strings.Repeat(",", MaxHeaderBytes), "header",
			http.StatusRequestHeaderFieldsTooLarge},
		"an allowed query": {"/api/v1/x?q=" + strings.Repeat("a", MaxURLBytes-100),
			strings.Repeat(",", MaxHeaderBytes-300), "", 0},
		"a host": {"http://" + strings.Repeat("a", MaxHeaderBytes) + "/api/v1/x", "", "url",
			http.StatusRequestURITooLong},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(http.MethodGet, tc.target)
			r.Header.Set("X-Forwarded-For", tc.header)
			called := false
			got := send(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				called = true
				w.WriteHeader(http.StatusNotFound)
			}), r)
			if tc.field != "" && (got.Code != 40002 || got.Meta.Field != tc.field || called) || tc.field == "" &&
				!called {
				t.Errorf("code %d at %q, called %t", got.Code, got.Meta.Field, called)
			}
			elsewhere := request(http.MethodGet, strings.Replace(tc.target, "/api/v1/", "/other/", 1))
			elsewhere.Header = r.Header
			recorder := httptest.NewRecorder()
			WithEnvelope(http.NotFoundHandler(), neverShared, nil).ServeHTTP(recorder, elsewhere)
			if want := max(tc.status, http.StatusNotFound); recorder.Code != want {
				t.Errorf("elsewhere: HTTP status %d, want %d", recorder.Code, want)
			}
		})
	}
}

// TestHeaders verifies that the server counts the following towards the size limit for request headers:
//   - the method, the Host header and the trailers
//   - a fixed overhead for each name and for each value
func TestHeaders(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"a host":      func(r *http.Request) { r.Host = strings.Repeat("a", MaxHeaderBytes) },
		"a method":    func(r *http.Request) { r.Method = strings.Repeat("A", MaxHeaderBytes) },
		"a trailer":   func(r *http.Request) { r.Trailer = http.Header{strings.Repeat("A", MaxHeaderBytes): nil} },
		"many values": func(r *http.Request) { r.Header["A"] = make([]string, MaxHeaderBytes/overheadBytes) },
		"many headers": func(r *http.Request) {
			for i := range MaxHeaderBytes / overheadBytes {
				r.Header[strconv.Itoa(i)] = nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(http.MethodPost, "/api/v1/x")
			change(r)
			if what, status := oversized(r); status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("HTTP status %d: %s", status, what)
			}
		})
	}
}
