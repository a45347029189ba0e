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

// tokenParameter is the query parameter with an access token.
const tokenParameter = "token"

// credentialInURL returns true if the URL has a query parameter that clients use for credentials. The request is then
// refused before its URL is logged.
func credentialInURL(u *url.URL) bool {
	for name := range u.Query() {
		switch strings.ToLower(name) {
		case tokenParameter, "access_token", "accesstoken", "authorization", "refresh_token", "refreshtoken",
			"password":
			return true
		}
	}
	return false
}

// withoutCredentials moves a ticket from the URL to the context, before the URL is logged.
func withoutCredentials(r *http.Request) *http.Request {
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

// withQuery returns a copy of a request with another query.
func withQuery(r *http.Request, query url.Values) *http.Request {
	u := *r.URL
	u.RawQuery = query.Encode()
	r2 := r.WithContext(r.Context())
	r2.URL, r2.RequestURI = &u, u.RequestURI()
	return r2
}

// WithTokenInQuery accepts an access token in the query of the watch, and of no other request. It removes the token
// from the URL before the URL is logged. It must wrap WithEnvelope, which refuses such tokens.
func WithTokenInQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
