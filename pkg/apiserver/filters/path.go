// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package filters has the HTTP filters around the handler chain of k8s.io/apiserver.
package filters

import (
	"net/http"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

// UnderAPI returns true for paths that are answered with an envelope: all paths below the two prefixes. Discovery,
// OpenAPI, health and metrics keep the formats of Kubernetes, since the aggregator reads them.
func UnderAPI(path string) bool {
	below, ok := strings.CutPrefix(path, dashboardv1alpha1.RootPath+"/")
	return isDirect(path) || (ok && below != "")
}

func isDirect(path string) bool {
	return path == dashboardv1alpha1.DirectRootPath || strings.HasPrefix(path, dashboardv1alpha1.DirectRootPath+"/")
}

// proxySegment is the segment below which streams are reached through kube-apiserver.
const proxySegment = "/proxy"

// canonical returns the request below the one prefix of the routes, without the query parameters with which a client
// could change the time limit of the library. It must be called before anything parses the path: /api/v1 would be taken
// for the core API.
func canonical(r *http.Request) *http.Request {
	u := *r.URL
	if isDirect(u.Path) {
		u.Path = dashboardv1alpha1.RootPath + strings.TrimPrefix(u.Path, dashboardv1alpha1.DirectRootPath)
		u.RawPath = ""
		if u.Path == dashboardv1alpha1.RootPath { // the bare prefix would be the discovery document of the group
			u.Path += "/-" // no route has this path
		}
	}
	// kube-apiserver takes requests below proxy for long ones, which have no place of its flow control.
	below, ok := strings.CutPrefix(u.Path, dashboardv1alpha1.RootPath+proxySegment+"/")
	if ok && r.Method == http.MethodGet {
		u.Path, u.RawPath = dashboardv1alpha1.RootPath+"/"+below, ""
	}
	if query := u.Query(); query.Has("timeout") || query.Has("watch") {
		query.Del("timeout")
		query.Del("watch")
		u.RawQuery = query.Encode()
	}
	r2 := r.WithContext(r.Context())
	r2.URL = &u
	r2.RequestURI = u.EscapedPath() // which the library logs, and values of the query may be confidential
	return r2
}

// malformed describes why a path is ambiguous, or returns an empty string. It compares decoded segments, and refuses
// encoded separators.
func malformed(r *http.Request) string {
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
	for i, segment := range strings.Split(r.URL.Path, "/") {
		if i == 0 {
			continue
		}
		if segment == "" {
			return "the path must not contain empty segments"
		}
		if segment == "." || segment == ".." {
			return "the path must not contain the segments . and .."
		}
	}
	return ""
}
