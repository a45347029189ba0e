// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// maxDepth is the highest number of levels to which arrays and objects in a body may be nested. Kubernetes objects have
// far fewer.
const maxDepth = 100

const contentType = "Content-Type"

// Request is a request to an endpoint.
type Request struct {
	*http.Request

	path map[string]string
	// query is the parsed query, or nil before the first call of Query.
	query url.Values
	// code is the one-time code of the caller's second factor, or empty.
	code string
	// codeInBody is true if the JSON body contains a one-time code in the field totpCode.
	codeInBody bool
	// parameters contains the documentation of the parameters of the route, by name.
	parameters map[string]string
}

// Path returns the value of a path parameter, or an empty string if the route has no parameter with this name.
func (r *Request) Path(name string) string { return r.path[name] }

// Query returns the value of a query parameter, or an empty string. The value is a copy, so that an endpoint may keep
// it for longer than the request without keeping the whole URL.
func (r *Request) Query(name string) string {
	if r.query == nil {
		r.query = r.URL.Query()
	}
	return strings.Clone(r.query.Get(name))
}

// ParseBool returns the value of a query parameter, which must be true or false. If the query parameter is missing or
// empty, it returns defaultValue. For any other value, it returns an error with the code 40002.
func ParseBool(query url.Values, name string, defaultValue bool) (bool, error) {
	switch query.Get(name) {
	case "":
		return defaultValue, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, envelope.Invalid(name, "%s must be true or false", name)
	}
}

// CheckLabel returns an error if value is not a DNS label (RFC 1123), such as the name of a namespace. field is the
// name of the value in the error. The code is 40001 for an empty value, and 40002 for an invalid one.
func CheckLabel(field, value string) error {
	if value == "" {
		return envelope.Required(field)
	}
	if problems := utilvalidation.IsDNS1123Label(value); len(problems) > 0 {
		return envelope.Invalid(field, "%s: %s", field, strings.Join(problems, "; "))
	}
	return nil
}

// CheckSubdomain returns an error if value is not a DNS subdomain (RFC 1123), such as the name of most objects. field
// is the name of the value in the error. The code is 40001 for an empty value, and 40002 for an invalid one.
func CheckSubdomain(field, value string) error {
	if value == "" {
		return envelope.Required(field)
	}
	if problems := utilvalidation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return envelope.Invalid(field, "%s: %s", field, strings.Join(problems, "; "))
	}
	return nil
}

// ReadJSON decodes the JSON body of the request into target, which is a pointer as for json.Unmarshal. It returns an
// error for unknown and duplicate fields. The field totpCode, which contains a one-time code, is allowed even if target
// has no such field.
func (r *Request) ReadJSON(target any) error {
	if value := r.Header.Get(contentType); value != "" {
		if mediaType, _, err := mime.ParseMediaType(value); err != nil || mediaType != "application/json" {
			return envelope.Invalid(contentType, "send the body as application/json")
		}
	}
	body, err := r.ReadBody()
	if err != nil {
		return err
	}
	var strict []error
	var malformed error
	err = r.Decode(len(body), func() { strict, malformed = decodeJSON(body, target) })
	if err := cmp.Or(err, malformed); err != nil {
		return err
	}
	if r.codeInBody {
		strict = slices.DeleteFunc(strict, isCodeField)
	}
	return refuseStrict(strict)
}

// ReadOptionalJSON decodes the JSON body of the request into target like ReadJSON. If the body is empty,
// ReadOptionalJSON does nothing and returns nil.
func (r *Request) ReadOptionalJSON(target any) error {
	body, err := r.ReadBody()
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	return r.ReadJSON(target)
}

// checkOptions returns an error for a request with an option that the route does not have. If the option were ignored,
// the request could change or delete more than the caller wants. The method determines which options are checked:
//
//   - GET and HEAD: none
//   - DELETE: all query parameters, and all fields of the body except totpCode
//   - all other methods: the query parameter dryRun
func (r *Request) checkOptions() error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if r.Method != http.MethodDelete && name != "dryRun" {
			continue
		}
		inPath, isInPath := r.path[name]
		switch {
		case len(query[name]) > 1:
			return envelope.Invalid(name, "the query parameter %q must not be repeated", name)
		case r.parameters[name] == "", isInPath && query.Get(name) != inPath:
			return envelope.Invalid(name, "this request has no query parameter %q", name)
		}
	}
	if r.Method != http.MethodDelete {
		return nil
	}
	err := r.ReadOptionalJSON(&struct{}{})
	refused := envelope.As(err)
	if err != nil && refused.Code == dashboardv1alpha1.CodeInvalid && refused.Field != contentType {
		return envelope.Invalid(refused.Field, "%s: the body of a DELETE may only contain %s, a string",
			refused.Message, dashboardv1alpha1.CodeField)
	}
	return err
}

const (
	// maxDecoded is the largest number of bytes of a body that is decoded. It equals the default limit of etcd for a
	// request.
	maxDecoded = 1536 << 10
	// decodedBytes is the memory in bytes that decoding needs for each byte of JSON or YAML. It is large, because an
	// element of a list may need only two bytes of text, such as "1,".
	decodedBytes = 48
	// decodePatience bounds the time for which a request waits because its user has used much processor time.
	decodePatience = 10 * time.Second
)

// Decode calls decode(), which decodes a body of the given number of bytes. It charges the memory and the processor
// time of the call to the user of the request. If the user has used too much processor time, Decode waits before the
// call.
//
// Decode returns an error and does not call decode() in these cases:
//
//   - The body is larger than maxDecoded.
//   - The memory for the call would exceed a limit.
//   - The wait takes longer than decodePatience.
func (r *Request) Decode(bytes int, decode func()) error {
	if bytes > maxDecoded {
		return envelope.Invalid("body", "the body is larger than %d bytes", maxDecoded)
	}
	account, size := budget.AccountFrom(r.Context()), int64(bytes)*decodedBytes
	if err := account.Take(size); err != nil {
		return envelope.OutOfMemory(err)
	}
	defer account.Give(size)
	ctx, cancel := context.WithTimeout(r.Context(), decodePatience)
	defer cancel()
	if err := account.Do(ctx, decode); err != nil {
		return envelope.OutOfTime(err)
	}
	return nil
}

// ReadBody returns the whole body. The caller must not modify it.
func (r *Request) ReadBody() ([]byte, error) {
	if b, ok := r.Body.(*body); ok {
		return b.all, nil
	}
	read, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, envelope.Invalid("body", "the body could not be read").WithCause(err)
	}
	r.Body = NewBody(read) // for the next call
	return read, nil
}

// body is a request body that is completely in memory.
type body struct {
	*bytes.Reader

	all []byte
}

// NewBody returns a request body that contains the given bytes. ReadBody returns the same slice without copying it.
func NewBody(all []byte) io.ReadCloser { return &body{Reader: bytes.NewReader(all), all: all} }

// Close implements io.Closer. It has no effect.
func (*body) Close() error { return nil }
