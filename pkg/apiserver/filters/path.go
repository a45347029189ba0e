// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package filters contains the HTTP filters of KubeVision around the handler chain of k8s.io/apiserver: request IDs,
// envelopes, limits of requests, metrics, traces and the request log. It also removes credentials from URLs before they
// are logged.
package filters

import (
	"net/http"
	"net/url"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

// UnderAPI returns true for paths of the dashboard's API, whose responses are envelopes. For other paths, such as
// discovery, OpenAPI, health and metrics, responses have the formats of Kubernetes.
func UnderAPI(path string) bool {
	below, ok := strings.CutPrefix(path, dashboardv1alpha1.RootPath+"/")
	return isDirect(path) || (ok && below != "")
}

func isDirect(path string) bool {
	return path == dashboardv1alpha1.DirectRootPath || strings.HasPrefix(path, dashboardv1alpha1.DirectRootPath+"/")
}

// proxySegment is a path segment that clients insert when they open a stream through kube-apiserver. Because of this
// segment, kube-apiserver treats the request as long-running.
const proxySegment = "/proxy"

// canonical returns a copy of the request whose path begins with /apis/dashboard.kubevision.io/v1alpha1. Clients may
// also send paths that begin with /api/v1, or paths with the additional segment proxy. k8s.io/apiserver would treat
// /api/v1 as the path of the core API group. Therefore, canonical must be called before k8s.io/apiserver parses the
// path. canonical also removes the query parameters timeout and watch, because k8s.io/apiserver would derive the
// timeout of the request from them.
func canonical(r *http.Request) *http.Request {
	u := *r.URL
	if isDirect(u.Path) {
		u.Path = dashboardv1alpha1.RootPath + strings.TrimPrefix(u.Path, dashboardv1alpha1.DirectRootPath)
		u.RawPath = ""
		// Without a further segment, the path would be the path of the group's discovery document.
		if u.Path == dashboardv1alpha1.RootPath {
			u.Path += "/-" // no route has this path
		}
	}
	// A client that opens a stream through kube-apiserver inserts the segment "proxy" after the prefix of the API.
	// kube-apiserver then treats the request as long-running, and its flow control does not limit the request.
	below, ok := strings.CutPrefix(u.Path, dashboardv1alpha1.RootPath+proxySegment+"/")
	if ok && r.Method == http.MethodGet {
		u.Path, u.RawPath = dashboardv1alpha1.RootPath+"/"+below, ""
	}
	if u.RawQuery != "" {
		u.RawQuery = withoutTimeout(u.RawQuery, u.Query())
	}
	r2 := r.WithContext(r.Context())
	r2.URL = &u
	r2.RequestURI = u.EscapedPath() // The library logs RequestURI, and values of the query may be confidential.
	return r2
}

// withoutTimeout removes the parameters timeout and watch from an encoded query, because k8s.io/apiserver derives the
// timeout of a request from them. query contains the decoded parameters.
func withoutTimeout(encoded string, query url.Values) string {
	if !query.Has("timeout") && !query.Has("watch") {
		return encoded
	}
	query.Del("timeout")
	query.Del("watch")
	return query.Encode()
}

// malformed returns an error message if the path of the request is ambiguous. Otherwise, it returns an empty string.
// Examples of ambiguous paths are /a//b, /a/../b and /a%2Fb.
func malformed(r *http.Request) string {
	// The sequences encode a slash, a backslash, a percent sign and a null character.
	escaped := strings.ToLower(r.URL.EscapedPath())
	for _, sequence := range []string{"%2f", "%5c", "%25", "%00"} {
		if strings.Contains(escaped, sequence) {
			return "the path must not contain " + sequence
		}
	}
	for i := range len(r.URL.Path) {
		if c := r.URL.Path[i]; c < 0x20 || c == 0x7f || c == '\\' || c == '%' {
			return "the path must not contain control characters, backslashes or percent signs"
		}
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(r.URL.Path, "/"), "/") {
		if segment == "" {
			return "the path must not contain empty segments"
		}
		if segment == "." || segment == ".." {
			return "the path must not contain the segments . and .."
		}
	}
	return ""
}
