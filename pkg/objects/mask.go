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
	// Masked stands for a value of stringData, or of the annotation of kubectl.
	Masked = "******"
	// MaskedBase64 stands for a value of data, where clients expect base64.
	MaskedBase64 = "KioqKioq"
	// Differs and DiffersBase64 stand for a value that differs from the one beside which it is shown.
	Differs = "****** (differs)"
	// DiffersBase64 is Differs in base64.
	DiffersBase64 = "KioqKioqIChkaWZmZXJzKQ=="
)

// IsSecret says whether objects of a kind have values that nobody sees without asking for them.
func IsSecret(r clusters.Resource) bool {
	return r.Group == "" && r.GroupVersionResource.Resource == "secrets"
}

// values are those of a Secret that masks stand for, by field and key.
type values map[string]map[string]hidden

// hidden is a value of a Secret: a string, or the text of what is none, which is not decoded.
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

// valuesOf reads the values of a Secret. Its errors hold none of them.
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

// differ returns whether there is a value beside, and it is another one.
func (v values) differ(field, key string, value hidden) bool {
	other, ok := v[field][key]
	return ok && other != value
}

// mask hides the values of a Secret, and leaves its keys. kubectl apply keeps a copy of what it was given in an
// annotation. A value that differs from the one beside has another mask.
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
