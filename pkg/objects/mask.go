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
	// Masked replaces a value of stringData, or of the annotation of kubectl.
	Masked = "******"
	// MaskedBase64 replaces a value of data, for which clients expect base64.
	MaskedBase64 = "KioqKioq"
	// Differs and DiffersBase64 replace a value that differs from the value in the other object.
	Differs = "****** (differs)"
	// DiffersBase64 is Differs in base64.
	DiffersBase64 = "KioqKioqIChkaWZmZXJzKQ=="
)

// masked and differs are Masked and Differs as JSON.
const (
	masked  = `"` + Masked + `"`
	differs = `"` + Differs + `"`
)

// IsSecret returns true if objects of a kind have values that are masked by default.
func IsSecret(r clusters.Resource) bool {
	return r.Group == "" && r.GroupVersionResource.Resource == "secrets"
}

// values contains the values of a Secret that masks replace, by field and key.
type values map[string]map[string]hidden

// hidden is a value of a Secret: a string, or the undecoded JSON of another value.
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

// valuesOf reads the values of a Secret. Its errors do not contain values.
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

// differ returns true if the other object has a different value.
func (v values) differ(field string, key rawjson.Quoted, value []byte) bool {
	if v == nil {
		return false
	}
	var own hidden
	other, ok := v[field][key.Text()]
	return ok && (own.UnmarshalJSON(value) != nil || other != own)
}

// mask replaces the values of a Secret by masks, and keeps the keys. It also masks the annotation in which kubectl
// apply stores a copy of the manifest. beside contains the values of a Secret that is shown at the same time, if any:
// values that differ from it get a different mask.
func mask(o, metadata Object, beside values) error {
	for field, masks := range map[string][2][]byte{
		fieldData:       {[]byte(`"` + MaskedBase64 + `"`), []byte(`"` + DiffersBase64 + `"`)},
		fieldStringData: {[]byte(masked), []byte(differs)},
	} {
		err := o.rewrite(field, func(key rawjson.Quoted, value []byte) ([]byte, error) {
			if beside.differ(field, key, value) {
				return masks[1], nil
			}
			return masks[0], nil
		})
		if err != nil {
			return Unreadable(fmt.Errorf("the %s of a secret is not an object", field))
		}
	}
	err := metadata.rewrite(fieldAnnotations, func(key rawjson.Quoted, value []byte) ([]byte, error) {
		switch {
		case value[0] != '"' && value[0] != 'n':
			return nil, rawjson.ErrSyntax
		case !key.Is(corev1.LastAppliedConfigAnnotation):
			return nil, nil
		case beside.differ(fieldAnnotations, key, value):
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

// rewrite replaces values in the object that is the value of a field. visit returns the replacement of a value, or nil
// to keep the value.
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
