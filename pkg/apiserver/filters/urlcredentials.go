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

// credentialInURL returns true for query parameters that clients use for credentials. The request ends here, so that
// nothing logs its URL.
func credentialInURL(u *url.URL) bool {
	for name := range u.Query() {
		switch strings.ToLower(name) {
		case tokenParameter, "access_token", "accesstoken", "authorization", "refresh_token", "refreshtoken", "password":
			return true
		}
	}
	return false
}

// withoutCredentials takes a ticket out of the URL, before anything can log it, and puts it into the context.
func withoutCredentials(r *http.Request) *http.Request {
	query := r.URL.Query()
	found := streams.Credentials{}
	for name, values := range query {
		if strings.EqualFold(name, dashboardv1alpha1.TicketParameter) {
			found.Ticket = values[0]
			query.Del(name)
		}
	}
	if found == (streams.Credentials{}) {
		return r
	}
	u := *r.URL
	u.RawQuery = query.Encode()
	r2 := r.WithContext(streams.WithCredentials(r.Context(), found))
	r2.URL, r2.RequestURI = &u, u.RequestURI()
	return r2
}
