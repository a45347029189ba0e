// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"net/http"
)

const (
	// MaxURLBytes bounds the length of the URL, in bytes, because parsing needs several times this length in memory. A
	// URL with a hundred cluster names has 6 KiB and is therefore allowed.
	MaxURLBytes = 16 << 10
	// MaxHeaderBytes bounds the size of the request headers, in bytes. kube-apiserver sends one header per group of a
	// user.
	MaxHeaderBytes = 128 << 10
)

const overheadBytes = 32

// oversized returns a message and an HTTP status if the URL or the headers of a request are too large. Otherwise, it
// returns an empty message.
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

// headerBytes returns the size of the headers, including the method, the Host header and trailers.
func headerBytes(r *http.Request) int {
	size := len(r.Method) + len(r.Host)
	// Many short names and values use more memory than their text. HTTP/2 has the same overhead (RFC 9113, 6.5.2).
	for _, header := range []http.Header{r.Header, r.Trailer} {
		for name, values := range header {
			size += len(name) + overheadBytes
			for _, value := range values {
				size += len(value) + overheadBytes
			}
		}
	}
	return size
}
