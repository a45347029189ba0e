// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package response

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
)

// Failure is an error of a request to a cluster. Its text contains no data from the server.
type Failure struct { //nolint:errname // it is the failure of a call, not a sentinel
	text  string
	cause error
}

// NewFailure returns a Failure with a text that may be shown to users. The cause may be nil. errors.Is and errors.As
// also examine the cause.
func NewFailure(text string, cause error) *Failure { return &Failure{text: text, cause: cause} }

// Error returns the text of the failure. The text contains no data from the server.
func (f *Failure) Error() string { return f.text }

// Unwrap returns the cause. The text of the cause must not be shown to users.
func (f *Failure) Unwrap() error { return f.cause }

// connectionFailure converts a connection error to a Failure with a fixed text. It does not use the text of err, which
// may quote data of the server: its certificate, the first line of a response, or the reason for closing an HTTP/2
// connection. If the request was cancelled, connectionFailure returns err unchanged.
func connectionFailure(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return NewFailure(describe(err), err)
}

// describe returns a fixed text for the kind of a connection error.
func describe(err error) string {
	for _, known := range []struct {
		cause error
		text  string
	}{
		{addresspolicy.ErrRefused, addresspolicy.ErrRefused.Error()},
		{syscall.ECONNREFUSED, "connection refused"},
		{syscall.ECONNRESET, "connection reset by peer"},
		{syscall.EPIPE, "connection reset by peer"},
		{syscall.EHOSTUNREACH, "no route to host"},
		{syscall.ENETUNREACH, "network is unreachable"},
		{io.EOF, "the connection was closed"},
		{io.ErrUnexpectedEOF, "the connection was closed"},
	} {
		if errors.Is(err, known.cause) {
			return known.text
		}
	}
	if text := describeTLS(err); text != "" {
		return text
	}
	timeout, ok := errors.AsType[net.Error](err)
	if ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "there was no response in time"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the name of the server cannot be resolved"
	}
	return "the connection failed"
}

func describeTLS(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate of the server is signed by an unknown authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate of the server is for another name"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the certificate of the server has expired or is not valid yet"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate of the server is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server has ended the TLS handshake"
	}
	return ""
}

// Error returns an error with a text that may be shown to users. If err contains a Status, Error sanitizes the Status.
// If err is a Failure, a url.Error or a context error, Error returns err unchanged. The text of any other error, for
// example of a decoder, may quote the response. Therefore, such an error is logged, and Error returns a Failure
// instead.
func Error(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	status, ok := statusOf(err)
	// An API server sends an error only with a code of at least 400. A lower code could make a caller treat the error
	// as a success.
	if ok && status.Code < http.StatusBadRequest {
		return &apierrors.StatusError{ErrStatus: *untypedStatus(http.StatusBadGateway, "")}
	}
	if ok {
		return &apierrors.StatusError{ErrStatus: *cleanStatus(&status, int(status.Code))}
	}
	_, failed := errors.AsType[*Failure](err)
	_, sent := errors.AsType[*url.Error](err)
	if failed || sent || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	klog.FromContext(ctx).Info("The response of a cluster cannot be decoded", "error", quote(err.Error()))
	return NewFailure("the response of the cluster cannot be decoded", err)
}

func statusOf(err error) (metav1.Status, bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return metav1.Status{}, false
	}
	return status.Status(), true
}
