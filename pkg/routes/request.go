// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/strictdecoding"
)

// maxDepth bounds the nesting of arrays and objects in a body. Kubernetes objects are far less deep.
const maxDepth = 100

// Request is a request to an endpoint.
type Request struct {
	*http.Request

	path map[string]string
	// query is the parsed query, or nil before its first use.
	query url.Values
	// code is the fresh code in the request. codeInBody is true if the body contains it.
	code       string
	codeInBody bool
}

// Path returns the value of a path parameter.
func (r *Request) Path(name string) string { return r.path[name] }

// Query returns the value of a query parameter, or an empty string.
func (r *Request) Query(name string) string {
	if r.query == nil {
		r.query = r.URL.Query()
	}
	return r.query.Get(name)
}

// ParseBool returns a boolean query parameter. It returns absent if the parameter is empty.
func ParseBool(query url.Values, name string, absent bool) (bool, error) {
	switch query.Get(name) {
	case "":
		return absent, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, envelope.Invalid(name, "%s must be true or false", name)
	}
}

// CheckLabel returns an error if a value is not a DNS label (RFC 1123), such as the name of a namespace.
func CheckLabel(field, value string) error {
	if value == "" {
		return envelope.Required(field)
	}
	if problems := utilvalidation.IsDNS1123Label(value); len(problems) > 0 {
		return envelope.Invalid(field, "%s: %s", field, strings.Join(problems, "; "))
	}
	return nil
}

// CheckSubdomain returns an error if a value is not a DNS subdomain (RFC 1123), such as the name of most objects.
func CheckSubdomain(field, value string) error {
	if value == "" {
		return envelope.Required(field)
	}
	if problems := utilvalidation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return envelope.Invalid(field, "%s: %s", field, strings.Join(problems, "; "))
	}
	return nil
}

// ReadJSON decodes the body strictly: unknown and duplicate fields are errors. In addition to the fields of the type,
// the body may contain the fresh code of the caller.
func (r *Request) ReadJSON(into any) error {
	if contentType := r.Header.Get("Content-Type"); contentType != "" {
		if mediaType, _, err := mime.ParseMediaType(contentType); err != nil || mediaType != "application/json" {
			return envelope.Invalid("Content-Type", "send the body as application/json")
		}
	}
	body, err := r.ReadBody()
	if err != nil {
		return err
	}
	release, err := r.Hold(len(body))
	if err != nil {
		return err
	}
	defer release()
	strict, err := decodeJSON(body, into)
	if err != nil {
		return err
	}
	if r.codeInBody {
		strict = slices.DeleteFunc(strict, isCodeField)
	}
	return refuseStrict(strict)
}

const (
	// maxDecoded is the size of the largest body that is decoded: the limit of etcd for one object.
	maxDecoded = 1536 << 10
	// decodedBytes is the memory per byte of JSON or YAML while it is being decoded: two bytes may be an element of a
	// list.
	decodedBytes = 48
)

// Hold charges the account of the request for decoding a body of the given size, until release is called.
func (r *Request) Hold(bytes int) (release func(), err error) {
	if bytes > maxDecoded {
		return nil, envelope.Invalid("body", "the body is larger than %d bytes", maxDecoded)
	}
	account, size := budget.AccountFrom(r.Context()), int64(bytes)*decodedBytes
	if err := account.Take(size); err != nil {
		return nil, envelope.OutOfMemory(err)
	}
	return func() { account.Give(size) }, nil
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
	return read, nil
}

// body is a body in memory.
type body struct {
	*bytes.Reader

	all []byte
}

// NewBody returns a body that ReadBody does not copy.
func NewBody(all []byte) io.ReadCloser { return &body{Reader: bytes.NewReader(all), all: all} }

// Close has no effect.
func (*body) Close() error { return nil }

// DecodeJSON is like ReadJSON, for bytes that have been read. The cause of its error never contains the bytes, which
// may be a password.
func DecodeJSON(body []byte, into any) error {
	strict, err := decodeJSON(body, into)
	if err != nil {
		return err
	}
	return refuseStrict(strict)
}

// decodeJSON decodes a body. strict contains the violations in a body that could be decoded.
func decodeJSON(body []byte, into any) (strict []error, err error) {
	if strings.TrimSpace(string(body)) == "" {
		return nil, envelope.Required("body")
	}
	if IsDeeperThan(body, maxDepth) {
		return nil, envelope.Invalid("body", "the body is nested deeper than %d levels", maxDepth)
	}
	if problem := strictdecoding.JSON(body); problem != nil {
		field := cmp.Or(problem.Path, "body")
		return nil, envelope.Invalid(field, "%s %s", field, problem.Reason)
	}
	strict, err = kjson.UnmarshalStrict(body, into)
	if err != nil {
		return nil, envelope.Invalid("body", "the body is not valid JSON of the expected form")
	}
	return strict, nil
}

func refuseStrict(strict []error) error {
	if len(strict) > 0 {
		return envelope.Invalid(strictField(strict[0]), "%s", strict[0].Error())
	}
	return nil
}

func strictField(err error) string {
	if f, ok := errors.AsType[kjson.FieldError](err); ok {
		return f.FieldPath()
	}
	return "body"
}

// IsDeeperThan returns true if the nesting of arrays and objects in a JSON text exceeds the given number of levels. It
// protects recursive decoders.
func IsDeeperThan(body []byte, levels int) bool {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			if depth > levels {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
