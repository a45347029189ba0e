// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
)

const (
	// MaxBodyBytes is the largest request body, the same as kube-apiserver's.
	MaxBodyBytes = 3 << 20
	// MaxAnonymousBodyBytes is the largest body of a request without any credential: a login.
	MaxAnonymousBodyBytes = 64 << 10
	// bodyTimeout is how long a body may take to arrive.
	bodyTimeout = 10 * time.Second
)

// readBody reads all of the body before anything else is done, so that a client that sends it slowly takes none of the places that requests
// in progress have.
func readBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	connection := http.NewResponseController(w)
	if err := connection.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return envelope.Internal(err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit(r)))
	if err != nil {
		return unreadable(err)
	}
	if err := connection.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return envelope.Internal(err)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	return nil
}

func limit(r *http.Request) int64 {
	if r.Header.Get("Authorization") == "" && r.Header.Get(dashboardv1alpha1.TokenHeader) == "" && (r.TLS == nil || len(r.TLS.PeerCertificates) == 0) {
		return MaxAnonymousBodyBytes
	}
	return MaxBodyBytes
}

func unreadable(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return envelope.Invalid("body", "the body is larger than %d bytes", tooLarge.Limit)
	}
	return envelope.Invalid("body", "the body did not arrive whole, or not within %s", bodyTimeout).Because(err)
}
