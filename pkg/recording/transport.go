// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

var errLargeResponse = errors.New("the response of the bucket is too large")

// boundedTransport limits the size of the responses of an S3 service.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip sends the request, and returns a response whose size and number of XML tags are limited. It does not limit
// the XML tags in the content of an S3 object, because the content is not XML.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err //nolint:wrapcheck // as it is
	}
	bounded := &boundedBody{ReadCloser: answer.Body, bytes: maxMarkup, tags: maxTags}
	switch {
	case answer.StatusCode >= http.StatusMultipleChoices:
		bounded.bytes = maxErrorBytes
	case r.Method == http.MethodGet && r.URL.RawQuery == "": // the content of an object
		bounded.bytes, bounded.tags = maxResponse, maxResponse
	}
	answer.Body = bounded
	return answer, nil
}

// boundedBody is a body with a maximum number of bytes and of XML tags.
type boundedBody struct {
	io.ReadCloser

	bytes, tags int
}

// Read implements io.Reader. It returns errLargeResponse if a limit is exceeded.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes -= n
	b.tags -= bytes.Count(p[:n], []byte("<"))
	if b.bytes < 0 || b.tags < 0 {
		return 0, errLargeResponse
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}
