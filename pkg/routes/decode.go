// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	kjson "sigs.k8s.io/json"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/strictdecoding"
)

// DecodeJSON decodes body into target, which is a pointer as for json.Unmarshal. Unknown and duplicate fields are
// errors. Errors contain no values of body, because the values may be passwords.
func DecodeJSON(body []byte, target any) error {
	strict, err := decodeJSON(body, target)
	if err != nil {
		return err
	}
	return refuseStrict(strict)
}

// decodeJSON decodes body into target. It returns an error in strictErrs for each unknown or duplicate field, and
// decodes all other fields nevertheless. It returns err if body cannot be decoded.
func decodeJSON(body []byte, target any) (strictErrs []error, err error) {
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
	strictErrs, err = kjson.UnmarshalStrict(body, target)
	if err != nil {
		return nil, undecodable(body, target)
	}
	return strictErrs, nil
}

// undecodable returns the error for a body that cannot be decoded into target. It decodes the body again with
// encoding/json, whose errors contain the field and the type. The second decoding does not change target.
func undecodable(body []byte, target any) error {
	err := json.Unmarshal(body, reflect.New(reflect.TypeOf(target).Elem()).Interface())
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return envelope.Invalid("body", "the body is not valid JSON of the expected form")
	}
	if wrong.Field == "" {
		return envelope.Invalid("body", "the body must be %s", nameOfType(wrong.Type))
	}
	return envelope.Invalid(wrong.Field, "%s must be %s", wrong.Field, nameOfType(wrong.Type))
}

// nameOfType describes the JSON values of a Go type, for example "a string".
func nameOfType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("an integer (%s)", t.Kind())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	default:
		return "an object"
	}
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

// IsDeeperThan returns true if arrays and objects in a JSON text are nested deeper than the given number of levels. It
// is called before a recursive decoder, which could exhaust the stack.
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
