// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const originHeader = "Origin"

// Origins lists the web origins whose pages may open streams. If it is empty, only pages of the server's own origin may
// open streams.
type Origins []string

// ParseOrigins parses origins such as https://dashboard.example.com. It returns an error for the first value that is
// not a scheme, a host and an optional port.
func ParseOrigins(values []string) (Origins, error) {
	var out Origins
	for _, value := range values {
		u, err := url.Parse(value)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
			u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%q is not an origin such as https://dashboard.example.com", value)
		}
		out = append(out, canonicalOrigin(u))
	}
	return out, nil
}

// canonicalOrigin returns an origin in the form that browsers send: the host in lower case, and no default port.
func canonicalOrigin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return u.Scheme + "://" + host
}

func (o Origins) check(r *http.Request) error {
	// Browsers send this header with each WebSocket request, and pages cannot change it.
	values := r.Header.Values(originHeader)
	if len(values) == 0 {
		if r.Header.Get("Cookie") == "" {
			return nil
		}
		return foreign("a request with cookies must have an origin")
	}
	u, err := url.Parse(values[0])
	if len(values) > 1 || err != nil || u.Host == "" {
		return foreign("pages without an origin may not open streams")
	}
	origin := canonicalOrigin(u)
	if slices.Contains(o, origin) {
		return nil
	}
	// The server serves only TLS, so a page of the same origin has the scheme https.
	if len(o) == 0 && origin == canonicalOrigin(&url.URL{Scheme: "https", Host: r.Host}) {
		return nil
	}
	return foreign("pages of this origin may not open streams: see --allowed-origins")
}

func foreign(message string) error {
	return envelope.New(dashboardv1alpha1.CodeForbidden, "%s", message)
}
