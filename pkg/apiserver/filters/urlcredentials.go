// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"
	"net/url"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// tokenParameter is the query parameter for an access token.
const tokenParameter = "token"

// credentialInURL returns true if the query contains a parameter with the name of a credential. Such a request is
// rejected before its URL is logged.
func credentialInURL(u *url.URL) bool {
	if u.RawQuery == "" {
		return false
	}
	for name := range u.Query() {
		switch strings.ToLower(name) {
		case tokenParameter, "access_token", "accesstoken", "authorization", "refresh_token", "refreshtoken",
			"password":
			return true
		}
	}
	return false
}

// withoutCredentials returns a request without a ticket in the query, because the query may be logged. It moves the
// ticket to the context.
func withoutCredentials(r *http.Request) *http.Request {
	if r.URL.RawQuery == "" {
		return r
	}
	query := r.URL.Query()
	before := streams.CredentialsFrom(r.Context())
	found := before
	for name, values := range query {
		if strings.EqualFold(name, dashboardv1alpha1.TicketParameter) {
			found.Ticket = values[0]
			query.Del(name)
		}
	}
	if found == before {
		return r
	}
	return withQuery(r.WithContext(streams.WithCredentials(r.Context(), found)), query)
}

// withQuery returns a copy of the request with the query.
func withQuery(r *http.Request, query url.Values) *http.Request {
	u := *r.URL
	u.RawQuery = query.Encode()
	r2 := r.WithContext(r.Context())
	r2.URL, r2.RequestURI = &u, u.RequestURI()
	return r2
}

// WithTokenInQuery moves the access token of a watch request from the query to the context. It must run before
// WithEnvelope, which rejects tokens in the query.
func WithTokenInQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			next.ServeHTTP(w, r)
			return
		}
		below, ok := strings.CutPrefix(r.URL.Path, dashboardv1alpha1.DirectRootPath)
		if !ok {
			below = strings.TrimPrefix(r.URL.Path, dashboardv1alpha1.RootPath)
		}
		query := r.URL.Query()
		if below == dashboardv1alpha1.WatchPath && r.Method == http.MethodGet && len(query[tokenParameter]) == 1 {
			found := streams.Credentials{Token: query.Get(tokenParameter)}
			query.Del(tokenParameter)
			r = withQuery(r.WithContext(streams.WithCredentials(r.Context(), found)), query)
		}
		next.ServeHTTP(w, r)
	})
}
