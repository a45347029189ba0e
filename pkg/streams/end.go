// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"errors"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// Reason is the reason for which a stream has ended. It is a label of metrics, and the beginning of the text in the
// close frame.
type Reason string

// Reasons for which a stream ends.
const (
	// Done means that the server has sent everything.
	Done Reason = "done"
	// ClientClosed means that the client has closed the WebSocket or disconnected.
	ClientClosed Reason = "client-closed"
	// SessionEnded means that the caller's KubeVisionSession has ended.
	SessionEnded Reason = "session-ended"
	// TokenExpired means that the access token has expired, and the client has not sent a new one.
	TokenExpired Reason = "token-expired"
	// Forbidden means that the caller no longer has the rights that the stream requires.
	Forbidden Reason = "forbidden"
	// ClusterGone means that the cluster is no longer registered or connected.
	ClusterGone Reason = "cluster-gone"
	// Slow means that the client reads too slowly.
	Slow Reason = "slow"
	// Silent means that the client does not reply to pings.
	Silent Reason = "silent"
	// Idle means that no message was sent or received within the idle time.
	Idle Reason = "idle"
	// TooLong means that the stream has reached its maximum duration.
	TooLong Reason = "too-long"
	// Malformed means that the client has sent a message that violates the protocol.
	Malformed Reason = "malformed"
	// TooLarge means that a message or the memory of the stream exceeds a limit.
	TooLarge Reason = "too-large"
	// Shutdown means that the replica is shutting down. The client should connect again.
	Shutdown Reason = "shutdown"
	// Failed means that the server or the cluster has failed.
	Failed Reason = "failed"
)

// End describes the end of a stream. It implements error, so that it can be the cause of a context and the result of a
// handler.
type End struct { //nolint:errname // not every end of a stream is a failure
	Reason Reason
	// Message is sent to the client. It contains no secrets.
	Message string
}

// NewEnd returns an End. message must not contain secrets.
func NewEnd(reason Reason, message string) *End { return &End{Reason: reason, Message: message} }

// Error implements error.
func (e *End) Error() string { return string(e.Reason) + ": " + e.Message }

// EndOf returns the End for the error with which a handler has ended. If err is nil, the reason is Done.
func EndOf(err error) *End {
	if err == nil {
		return NewEnd(Done, "the stream is complete")
	}
	if end, ok := errors.AsType[*End](err); ok {
		return end
	}
	known, ok := errors.AsType[*envelope.Error](err)
	if !ok {
		return NewEnd(Failed, "the stream has failed")
	}
	reason := Failed
	switch known.Code {
	case dashboardv1alpha1.CodeUnauthenticated, dashboardv1alpha1.CodeTwoFactorRequired:
		reason = SessionEnded
	case dashboardv1alpha1.CodeTokenExpired:
		reason = SessionEnded
	case dashboardv1alpha1.CodeForbidden, dashboardv1alpha1.CodeClusterForbidden,
		dashboardv1alpha1.CodeNamespaceForbidden:
		reason = Forbidden
	case dashboardv1alpha1.CodeClusterNotFound:
		reason = ClusterGone
	case dashboardv1alpha1.CodeRequired, dashboardv1alpha1.CodeInvalid:
		reason = Malformed
	case dashboardv1alpha1.CodeTooManyRequests:
		reason = TooLarge
	default:
	}
	return NewEnd(reason, known.Message)
}

// closeCode returns the status code of the close frame (RFC 6455).
func (e *End) closeCode() int {
	switch e.Reason {
	case Done, ClientClosed:
		return websocket.CloseNormalClosure
	case Shutdown:
		return websocket.CloseServiceRestart
	case Failed, ClusterGone:
		return websocket.CloseInternalServerErr
	case TooLarge:
		return websocket.CloseMessageTooBig
	default:
		return websocket.ClosePolicyViolation
	}
}

// text returns the text of the close frame, cut to maxCloseText bytes.
func (e *End) text() string {
	text := e.Error()
	for len(text) > maxCloseText || !utf8.ValidString(text) {
		text = text[:min(len(text)-1, maxCloseText)]
	}
	return text
}

// maxCloseText is the maximum length of the text in a close frame (RFC 6455), in bytes.
const maxCloseText = 123
