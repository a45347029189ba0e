// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest parses and validates manifests. A manifest consists of Kubernetes objects as JSON or YAML. A client
// can wrap the manifest: it then sends an object with the field manifest. A wrapper in JSON may also contain a one-time
// code of the user's second factor.
package manifest

import (
	"bytes"
	"cmp"
	"mime"
	"slices"

	kjson "sigs.k8s.io/json"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/strictdecoding"
)

const (
	// MaxBytes bounds the size of a manifest in bytes, before and after YAML aliases are resolved. It equals the
	// default of the etcd flag --max-request-bytes.
	MaxBytes = 1536 << 10
	// maxDepth is the highest number of levels to which maps and lists in a manifest may be nested.
	maxDepth = 100
)

// Media types of manifests.
const (
	JSON = "application/json"
	// YAML is the media type of YAML. A manifest of this type may also contain JSON, which is a subset of YAML.
	YAML = "application/yaml"
)

// Parse decodes a manifest in JSON or YAML. The body is either the object itself, or {"manifest": value}. The value is
// the object, or a string with its JSON or YAML text. Parse returns an error with one of these codes:
//   - 40001: the body or the value is empty.
//   - 40002: contentType is not supported, or the value is neither an object nor a string.
//   - 42200: the body cannot be parsed.
func Parse(contentType string, body []byte) (map[string]any, error) {
	isJSON, err := isJSONManifest(contentType, body)
	if err != nil {
		return nil, err
	}
	object, err := decode(body, isJSON)
	if err != nil {
		return nil, err
	}
	if wrapped, ok := object["manifest"]; ok && isWrapper(object, isJSON) {
		if object, err = unwrap(wrapped); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// isJSONManifest returns true if the manifest is JSON, and false if it is YAML. If contentType is empty, a body that
// begins with { is JSON. It returns an error for a contentType that is neither JSON nor YAML.
func isJSONManifest(contentType string, body []byte) (bool, error) {
	if contentType == "" {
		return bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")), nil
	}
	found, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && found == JSON:
		return true, nil
	case err == nil && slices.Contains([]string{YAML, "application/x-yaml", "application/vnd.yaml", "text/yaml"},
		found):
		return false, nil
	default:
		return false, envelope.Invalid("Content-Type", "send the manifest as %s or %s", JSON, YAML)
	}
}

// isWrapper returns true if object has no fields besides the field "manifest". In JSON, it may also have the field
// totpCode, which contains a one-time code. The caller must check that the field "manifest" exists.
func isWrapper(object map[string]any, isJSON bool) bool {
	_, hasCode := object[dashboardv1alpha1.CodeField]
	return len(object) == 1 || (len(object) == 2 && hasCode && isJSON)
}

func unwrap(wrapped any) (map[string]any, error) {
	switch m := wrapped.(type) {
	case map[string]any:
		return m, nil
	case string:
		return decode([]byte(m), false)
	case nil:
		return nil, envelope.Required("manifest")
	default:
		return nil, envelope.Invalid("manifest", "manifest must be an object, or YAML or JSON text")
	}
}

func decode(body []byte, isJSON bool) (map[string]any, error) {
	if !isJSON {
		return decodeYAML(body)
	}
	if err := checkSize(body); err != nil {
		return nil, err
	}
	return decodeJSON(body)
}

func checkSize(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return envelope.Required("body")
	}
	if len(body) > MaxBytes {
		return unparseable("the manifest is larger than %d bytes", MaxBytes)
	}
	return nil
}

func decodeJSON(body []byte) (map[string]any, error) {
	if routes.IsDeeperThan(body, maxDepth) {
		return nil, unparseable("the manifest is nested deeper than %d levels", maxDepth)
	}
	if problem := strictdecoding.JSON(body); problem != nil {
		return nil, unparseable("%s %s", cmp.Or(problem.Path, "the manifest"), problem.Reason)
	}
	var object map[string]any
	strict, err := kjson.UnmarshalStrict(body, &object)
	switch {
	case err != nil:
		return nil, unparseable("the manifest is not a JSON object: %s", positionJSON(err, body))
	case len(strict) > 0: // these errors contain names of fields, but no values
		return nil, unparseable("the manifest is not valid: %s", strict[0].Error())
	case object == nil:
		return nil, unparseable("the manifest is empty")
	}
	return object, nil
}

func unparseable(format string, args ...any) *envelope.Error {
	return envelope.New(dashboardv1alpha1.CodeUnparseable, format, args...)
}
