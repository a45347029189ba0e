// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"net/http"
)

const (
	// MaxURLBytes is the longest path and query of a request. What reads lists, selectors and segments makes many times
	// as much of them. A hundred names of clusters have 6 KiB.
	MaxURLBytes = 16 << 10
	// MaxHeaderBytes bounds the headers of a request. kube-apiserver sends a header for each group of a user.
	MaxHeaderBytes = 128 << 10
)

// oversized says what of a request is too large to be looked at, and the HTTP status for that. It is empty for most.
func oversized(r *http.Request) (what string, status int) {
	if len(r.URL.Path)+len(r.URL.RawPath)+len(r.URL.RawQuery) > MaxURLBytes {
		return fmt.Sprintf("the URL is longer than %d bytes", MaxURLBytes), http.StatusRequestURITooLong
	}
	size := 0
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	if size > MaxHeaderBytes {
		what = fmt.Sprintf("the headers are larger than %d bytes", MaxHeaderBytes)
		return what, http.StatusRequestHeaderFieldsTooLarge
	}
	return "", 0
}
