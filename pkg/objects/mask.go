// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

const (
	// Masked replaces a value of stringData, or of the annotation of kubectl.
	Masked = "******"
	// MaskedBase64 replaces a value of data, for which clients expect base64.
	MaskedBase64 = "KioqKioq"
	// Differs and DiffersBase64 replace a value that differs from the one of the other object.
	Differs = "****** (differs)"
	// DiffersBase64 is Differs in base64.
	DiffersBase64 = "KioqKioqIChkaWZmZXJzKQ=="
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
func (v values) differ(field, key string, value hidden) bool {
	other, ok := v[field][key]
	return ok && other != value
}

// mask masks the values of a Secret, and keeps its keys. kubectl apply stores a copy of the manifest in an
// annotation. A value that differs from the other object's has another mask.
func mask(o, metadata Object, beside values) error {
	for field, masks := range map[string][2]hidden{
		fieldData: {MaskedBase64, DiffersBase64}, fieldStringData: {Masked, Differs},
	} {
		raw, ok := o[field]
		if !ok {
			continue
		}
		var shown map[string]hidden
		if err := json.Unmarshal(raw, &shown); err != nil {
			return Unreadable(fmt.Errorf("the %s of a secret is not an object", field))
		}
		for key, value := range shown {
			shown[key] = masks[0]
			if beside.differ(field, key, value) {
				shown[key] = masks[1]
			}
		}
		encoded, err := Encode(shown)
		if err != nil {
			return err
		}
		o[field] = json.RawMessage(encoded)
	}
	return maskAnnotation(metadata, beside)
}

func maskAnnotation(metadata Object, beside values) error {
	raw, ok := metadata[fieldAnnotations]
	if !ok {
		return nil
	}
	var annotations map[string]string
	if err := json.Unmarshal(raw, &annotations); err != nil {
		return Unreadable(errors.New("the annotations of a secret are not strings"))
	}
	if applied, ok := annotations[corev1.LastAppliedConfigAnnotation]; ok {
		annotations[corev1.LastAppliedConfigAnnotation] = Masked
		if beside.differ(fieldAnnotations, corev1.LastAppliedConfigAnnotation, hidden(applied)) {
			annotations[corev1.LastAppliedConfigAnnotation] = Differs
		}
	}
	encoded, err := Encode(annotations)
	metadata[fieldAnnotations] = json.RawMessage(encoded)
	return err
}
