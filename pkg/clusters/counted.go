// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"io"
	"mime"
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// countJSON sends the request with next.RoundTrip(). Each Read of the response body calls count() with the data that it
// has read. If count() returns an error, the Read returns this error. countJSON returns an error if a successful
// response is not JSON. It does not count responses with a status of 300 or more.
func countJSON(next http.RoundTripper, r *http.Request, count func(piece []byte) error) (*http.Response, error) {
	got, err := next.RoundTrip(r)
	if err != nil || got.StatusCode >= http.StatusMultipleChoices {
		return got, err //nolint:wrapcheck // transports pass errors on
	}
	mediaType, _, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || mediaType != mediaTypeJSON {
		_ = got.Body.Close()
		return nil, response.NewFailure("the response of the cluster is not JSON", err)
	}
	got.Body = &countedBody{ReadCloser: got.Body, count: count}
	return got, nil
}

type countedBody struct {
	io.ReadCloser

	count func(piece []byte) error
}

// Read reads data from the body, and calls count() with the data. If count() returns an error, Read returns this error.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if failure := b.count(p[:n]); failure != nil {
		return 0, failure
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}
