// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package response

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/klog/v2"
)

const (
	// maxErrorBytes bounds the bytes that Transport reads from the body of an error response. The bound is large
	// because the message of a Status may quote a whole patch.
	maxErrorBytes = 1 << 20
	// maxLogged bounds the bytes of a text that are logged.
	maxLogged = 512
	// maxWarnings bounds the number of Warning headers of a response that are returned to callers.
	maxWarnings = 32
	// maxWarning bounds the length of the text of a Warning header, in bytes.
	maxWarning = 1024
	// warningCode is the warn-code in the Warning headers of API servers. Headers with another warn-code are dropped.
	warningCode = 299

	contentType   = "Content-Type"
	warningHeader = "Warning"
)

// Transport sanitizes the responses of a cluster. It replaces the body of an error response by a sanitized Status,
// treats a redirect as an error, and removes all headers that KubeVision does not use. It also replaces the text of
// connection errors, because the text may quote data of the server.
type Transport struct {
	Next http.RoundTripper
	// Upgrades allows responses with the status 101 Switching Protocols.
	Upgrades bool
}

// RoundTrip sends the request and returns the sanitized response.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Next.RoundTrip(r)
	if err != nil {
		klog.FromContext(r.Context()).V(2).Info("No response of a cluster",
			"host", r.URL.Host, "error", redact(r, err.Error()))
		return nil, connectionFailure(err)
	}
	if response.StatusCode == http.StatusSwitchingProtocols && t.Upgrades {
		return response, nil
	}
	response.Header = cleanHeader(response.Header)
	if response.StatusCode == http.StatusNotModified && r.Header.Get("If-None-Match") != "" {
		response.Header.Del(contentType)
		return response, nil // the response has no body
	}
	if response.StatusCode >= http.StatusOK && response.StatusCode <= http.StatusPartialContent {
		response.Body = &body{ReadCloser: response.Body, request: r}
		return response, nil
	}
	return errorResponse(r, response)
}

// errorResponse replaces the body of an error response by a sanitized Status. It returns an error if the body cannot be
// read.
func errorResponse(r *http.Request, response *http.Response) (*http.Response, error) {
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes+1))
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, connectionFailure(err)
	}
	if response.StatusCode < http.StatusBadRequest { // API servers do not redirect
		response.StatusCode, response.Status = http.StatusBadGateway, "502 Bad Gateway"
	}
	var status *metav1.Status
	if typed, ok := parseStatus(response.Header.Get(contentType), raw); ok && len(raw) <= maxErrorBytes {
		status = cleanStatus(typed, response.StatusCode)
	} else {
		status = untypedStatus(response.StatusCode, r.Method)
		if !isConfidential(r.URL.Path) {
			klog.FromContext(r.Context()).Info("A cluster responded with an error that is not from an API server",
				"host", r.URL.Host, "status", response.StatusCode, "body", redact(r, string(raw)))
		}
	}
	text, err := json.Marshal(status)
	if err != nil { // Impossible, because the Status contains only strings and numbers.
		return nil, fmt.Errorf("encoding the status: %w", err)
	}
	response.Header.Set(contentType, mediaTypeJSON)
	response.Header.Del("Content-Encoding")
	response.Header.Set("Content-Length", strconv.Itoa(len(text)))
	response.ContentLength, response.Uncompressed = int64(len(text)), false
	response.Body = io.NopCloser(bytes.NewReader(text))
	return response, nil
}

// cleanHeader returns a copy that contains only the headers that KubeVision uses.
func cleanHeader(header http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{contentType, "Content-Encoding", "Content-Length", "Etag", "Retry-After"} {
		if value := header.Get(name); value != "" {
			out.Set(name, value)
		}
	}
	warnings, _ := utilnet.ParseWarningHeaders(header.Values(warningHeader)) // malformed warnings are dropped
	for _, w := range warnings[:min(len(warnings), maxWarnings)] {
		text := Text(w.Text, maxWarning)
		if w.Code != warningCode || text == "" {
			continue
		}
		if value, err := utilnet.NewWarningHeader(warningCode, "-", text); err == nil {
			out.Add(warningHeader, value)
		}
	}
	return out
}

// body is a response body. Its read errors contain no data of the cluster.
type body struct {
	io.ReadCloser

	request *http.Request
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err //nolint:wrapcheck // io.EOF must not be wrapped
	}
	klog.FromContext(b.request.Context()).V(2).Info("The response of a cluster ended early",
		"host", b.request.URL.Host, "error", redact(b.request, err.Error()))
	return n, connectionFailure(err)
}

// redact returns the beginning of a text as a quoted string for the log. It replaces the bearer token of the request,
// which a cluster may include in its response.
func redact(r *http.Request, text string) string {
	if _, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && token != "" {
		text = strings.ReplaceAll(text, token, "<token>")
	}
	return quote(text)
}

func quote(text string) string {
	return strconv.QuoteToASCII(text[:min(len(text), maxLogged)])
}
