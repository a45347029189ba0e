// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"net/http"
)

const (
	// MaxURLBytes is the length of the longest path and query of a request. Handlers that parse lists, selectors and
	// segments need a multiple of this memory. A hundred cluster names take 6 KiB.
	MaxURLBytes = 16 << 10
	// MaxHeaderBytes bounds the headers of a request. kube-apiserver sends a header for each group of a user.
	MaxHeaderBytes = 128 << 10
)

// valueBytes is added to the size of the headers for each name and for each value. HTTP/2 adds it for each field.
const valueBytes = 32

// oversized returns the part of a request that is too large, and the HTTP status for it. It returns an empty string if
// no part is too large.
func oversized(r *http.Request) (what string, status int) {
	if max(len(r.RequestURI), len(r.URL.Path)+len(r.URL.RawPath)+len(r.URL.RawQuery)) > MaxURLBytes {
		return fmt.Sprintf("the URL is longer than %d bytes", MaxURLBytes), http.StatusRequestURITooLong
	}
	if headerBytes(r) > MaxHeaderBytes {
		what = fmt.Sprintf("the headers are larger than %d bytes", MaxHeaderBytes)
		return what, http.StatusRequestHeaderFieldsTooLarge
	}
	return "", 0
}

// headerBytes returns the size of the headers of a request, including the parts that net/http stores separately.
func headerBytes(r *http.Request) int {
	size := len(r.Method) + len(r.Host)
	for _, header := range []http.Header{r.Header, r.Trailer} {
		for name, values := range header {
			size += len(name) + valueBytes
			for _, value := range values {
				size += len(value) + valueBytes
			}
		}
	}
	return size
}
