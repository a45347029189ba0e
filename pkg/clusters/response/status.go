// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package response

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubevision-io/kubevision/pkg/protobuf"
)

const (
	mediaTypeJSON     = runtime.ContentTypeJSON
	mediaTypeProtobuf = runtime.ContentTypeProtobuf
	// protobufPrefix is the prefix of objects in the protobuf encoding of Kubernetes.
	protobufPrefix = "k8s\x00"

	// maxMessage bounds the length of the message of a Status, in bytes.
	maxMessage = 4096
	// maxCause bounds the length of the message of one cause in a Status, in bytes.
	maxCause = 2048
	// maxCauses bounds the number of causes in a Status.
	maxCauses = 32
	// maxName bounds the length of each short text in the details of a Status, such as a name or a kind, in bytes.
	maxName = 256
	// maxContinue bounds the continue token of a list, in bytes.
	maxContinue = 4096
	// maxElements bounds the number of elements, such as fields and causes, in a Status. A larger Status is not
	// decoded, because the decoded form could use much more memory than the body.
	maxElements = 20_000
	// statusDepth is the depth of the most deeply nested messages in a protobuf Status. The field details has the depth
	// 1, and each cause in details has the depth 2.
	statusDepth = 2
	// maxRetrySeconds is the longest Retry-After that is returned to callers.
	maxRetrySeconds = 3600
)

var (
	reasonPattern   = regexp.MustCompile(`^[A-Za-z]{1,64}$`)
	continuePattern = regexp.MustCompile(`^[A-Za-z0-9_=-]+$`)
)

// parseStatus decodes the body of an error response. It returns false if the body is not a Status with the status
// Failure.
func parseStatus(contentType string, body []byte) (*metav1.Status, bool) {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, false
	}
	// A cause needs two bytes in protobuf or three in JSON, but 48 bytes in memory. Therefore,
	// the elements are counted before the body is decoded.
	s := &metav1.Status{}
	switch mediaType {
	case mediaTypeJSON:
		if elements(body) > maxElements {
			return nil, false
		}
		if err := json.Unmarshal(body, s); err != nil {
			return nil, false
		}
	case mediaTypeProtobuf:
		raw, found := bytes.CutPrefix(body, []byte(protobufPrefix))
		unknown := &runtime.Unknown{}
		if !found || unknown.Unmarshal(raw) != nil || protobuf.Elements(unknown.Raw, statusDepth) > maxElements ||
			s.Unmarshal(unknown.Raw) != nil {
			return nil, false
		}
		s.TypeMeta = metav1.TypeMeta{APIVersion: unknown.APIVersion, Kind: unknown.Kind}
	default:
		return nil, false
	}
	return s, s.Kind == "Status" && s.APIVersion == "v1" && s.Status == metav1.StatusFailure
}

// elements estimates the number of objects, fields and list items in a JSON text without decoding the text. It counts
// opening braces and commas, except those inside strings.
func elements(text []byte) (count int) {
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == '{'):
			count++
		}
	}
	return count
}

// cleanStatus returns a sanitized copy of a Status. The copy has the given HTTP status code.
func cleanStatus(s *metav1.Status, code int) *metav1.Status {
	out := &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code:    int32(code), //nolint:gosec // three digits
		Message: Text(s.Message, maxMessage),
	}
	if reasonPattern.MatchString(string(s.Reason)) {
		out.Reason = s.Reason
	}
	if len(s.Continue) <= maxContinue && continuePattern.MatchString(s.Continue) {
		out.Continue = s.Continue
	}
	if out.Message == "" {
		out.Message = withoutMessage(code)
	}
	d := s.Details
	if d == nil {
		return out
	}
	out.Details = &metav1.StatusDetails{
		Name: Text(d.Name, maxName), Group: Text(d.Group, maxName), Kind: Text(d.Kind, maxName),
		UID:               types.UID(Text(string(d.UID), maxName)),
		RetryAfterSeconds: min(max(d.RetryAfterSeconds, 0), maxRetrySeconds),
	}
	for _, c := range d.Causes[:min(len(d.Causes), maxCauses)] {
		out.Details.Causes = append(out.Details.Causes, metav1.StatusCause{
			Type:    metav1.CauseType(Text(string(c.Type), maxName)),
			Message: Text(c.Message, maxCause), Field: Text(c.Field, maxName),
		})
	}
	return out
}

// untypedStatus returns a Status for an error response that contains no Status. IsTyped returns false for it.
func untypedStatus(code int, method string) *metav1.Status {
	s := apierrors.NewGenericServerResponse(code, method, schema.GroupResource{}, "", "", 0, true).ErrStatus
	s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	if s.Message == "" || code >= http.StatusInternalServerError {
		s.Message = withoutMessage(code)
	}
	return &s
}

func withoutMessage(code int) string {
	return fmt.Sprintf("the cluster responded with HTTP status %d without a message", code)
}

// IsTyped returns true if the error is a Status that an API server has sent. It returns false for an HTTP error without
// a Status, which usually comes from a proxy.
func IsTyped(err error) bool {
	status, ok := statusOf(err)
	return ok && !apierrors.IsUnexpectedServerError(&apierrors.StatusError{ErrStatus: status})
}

// isConfidential returns true if the response for the path may contain a credential or a Secret. Such a response must
// not be logged.
func isConfidential(path string) bool {
	return strings.Contains(path, "/secrets") || strings.HasSuffix(path, "/token")
}
