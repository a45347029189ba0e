// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// negotiate adapts result to requestHeader, and sets ETag and Vary in responseHeader. If the If-None-Match header
// matches the ETag, negotiate removes the data. If the client accepts gzip, it selects the compressed form of the data.
func negotiate(responseHeader, requestHeader http.Header, result Result) Result {
	if result.Tag != "" { // browsers do not store envelopes, so only scripts send If-None-Match
		responseHeader.Set("ETag", result.Tag)
		if matchesTag(requestHeader.Values("If-None-Match"), result.Tag) {
			result.Data, result.Meta.NotModified = nil, true
		}
	}
	if data, ok := result.Data.(envelope.Compressible); ok {
		responseHeader.Add("Vary", "Accept-Encoding")
		if acceptsGzip(requestHeader.Values("Accept-Encoding")) {
			result.Data = envelope.Gzipped{Compressible: data}
		}
	}
	return result
}

// matchesTag returns true if the values of an If-None-Match header contain tag, by the weak comparison of RFC 9110. The
// value * does not match.
func matchesTag(values []string, tag string) bool {
	for _, value := range values {
		for candidate := range strings.SplitSeq(value, ",") {
			if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

// acceptsGzip returns true if the values of an Accept-Encoding header allow gzip: gzip has a weight other than 0, or
// gzip is missing and * has a weight other than 0.
func acceptsGzip(values []string) bool {
	accepted := false
	for _, value := range values {
		for coding := range strings.SplitSeq(value, ",") {
			name, parameters, _ := strings.Cut(coding, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "gzip" && name != "*" {
				continue
			}
			weight, weighted := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q=")
			q, err := strconv.ParseFloat(weight, 64)
			is := !weighted || (err == nil && q > 0)
			if name == "gzip" {
				return is
			}
			accepted = is
		}
	}
	return accepted
}
