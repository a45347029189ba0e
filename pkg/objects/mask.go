// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// Masked replaces each value in the field stringData of a Secret, and the value of kubectl's annotation
	// last-applied-configuration. The values in the field data are replaced by MaskedBase64.
	Masked = "******"
	// MaskedBase64 replaces each value in the field data of a Secret. It is the base64 encoding of Masked.
	MaskedBase64 = "KioqKioq"
	// Differs replaces kubectl's annotation last-applied-configuration if its values in two compared Secrets differ.
	Differs = "****** (differs)"
	// DiffersBase64 is a mask for the comparison of two Secrets, for example in a dry run. It replaces a value in the
	// field data if the two Secrets have different values for the same key. It is the base64 encoding of Differs.
	DiffersBase64 = "KioqKioqIChkaWZmZXJzKQ=="
)

const (
	// masked is the text Masked as a JSON string.
	masked = `"` + Masked + `"`
	// differs is the text Differs as a JSON string.
	differs = `"` + Differs + `"`
)

// IsSecret returns true if r is the resource for Secrets in the core group. The values of Secrets are masked by
// default.
func IsSecret(r clusters.Resource) bool {
	return r.Group == "" && r.GroupVersionResource.Resource == "secrets"
}

// values contains the values of a Secret before masking. The first key is the name of a field: data or annotations. The
// second key is a key in this field.
type values map[string]map[string]hidden

// hidden is a value of a Secret before masking. If the value is not a string, hidden contains its JSON.
type hidden string

// UnmarshalJSON implements json.Unmarshaler.
func (h *hidden) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	*h = hidden(text)
	return nil
}

// valuesOf returns the values of the Secret in body. Its errors do not contain values.
func valuesOf(body []byte) (values, error) {
	var secret struct {
		Data     map[string]hidden `json:"data"`
		Metadata struct {
			Annotations map[string]hidden `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &secret); err != nil {
		return nil, Unreadable(errors.New("a secret cannot be read"))
	}
	return values{fieldData: secret.Data, fieldAnnotations: secret.Metadata.Annotations}, nil
}

const (
	fieldData        = "data"
	fieldStringData  = "stringData"
	fieldAnnotations = "annotations"
)

// hasOtherValue returns true if v[field][key] exists and differs from the parameter value.
func (v values) hasOtherValue(field string, key rawjson.Quoted, value []byte) bool {
	if v == nil {
		return false
	}
	var own hidden
	other, ok := v[field][key.Text()]
	return ok && (own.UnmarshalJSON(value) != nil || other != own)
}

// mask replaces the confidential values of the Secret o by the text Masked, or by the text Differs if otherValues
// contains a different value. otherValues may be nil. metadata must be the decoded metadata of o.
func mask(o, metadata Object, otherValues values) error {
	for field, masks := range map[string][2][]byte{
		fieldData:       {[]byte(`"` + MaskedBase64 + `"`), []byte(`"` + DiffersBase64 + `"`)},
		fieldStringData: {[]byte(masked), []byte(differs)},
	} {
		err := o.rewrite(field, func(key rawjson.Quoted, value []byte) ([]byte, error) {
			if otherValues.hasOtherValue(field, key, value) {
				return masks[1], nil
			}
			return masks[0], nil
		})
		if err != nil {
			return Unreadable(fmt.Errorf("the %s of a secret is not an object", field))
		}
	}
	// The annotation contains the values of the Secret that was applied last.
	err := metadata.rewrite(fieldAnnotations, func(key rawjson.Quoted, value []byte) ([]byte, error) {
		switch {
		case value[0] != '"' && value[0] != 'n':
			return nil, rawjson.ErrSyntax
		case !key.Is(corev1.LastAppliedConfigAnnotation):
			return nil, nil
		case otherValues.hasOtherValue(fieldAnnotations, key, value):
			return []byte(differs), nil
		default:
			return []byte(masked), nil
		}
	})
	if err != nil {
		return Unreadable(errors.New("the annotations of a secret are not strings"))
	}
	return nil
}

// rewrite replaces values in the JSON object at o[field]. visit returns the new JSON of a value, or nil to keep the
// value.
func (o Object) rewrite(field string, visit func(key rawjson.Quoted, value []byte) ([]byte, error)) error {
	raw, ok := o[field]
	if !ok || string(raw) == "null" {
		return nil
	}
	s := rawjson.NewScanner(raw)
	out, err := s.Rewrite(func(key rawjson.Quoted) (rawjson.Member, error) {
		begin := s.Pos()
		if err := s.Value(); err != nil {
			return rawjson.Member{}, err //nolint:wrapcheck // callers replace the error
		}
		value, err := visit(key, s.Since(begin))
		return rawjson.Member{Value: value}, err
	})
	if err != nil {
		return err //nolint:wrapcheck // callers replace the error
	}
	o[field] = out
	return nil
}
