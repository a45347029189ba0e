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
)

// IsSecret says whether objects of a kind have values that nobody sees without asking for them.
func IsSecret(r clusters.Resource) bool {
	return r.Group == "" && r.GroupVersionResource.Resource == "secrets"
}

// mask hides the values of a Secret, and leaves its keys. kubectl apply keeps a copy of what it was given in an annotation.
func mask(o, metadata Object) error {
	for field, placeholder := range map[string]string{"data": MaskedBase64, "stringData": Masked} {
		raw, ok := o[field]
		if !ok {
			continue
		}
		var values map[string]any
		if err := json.Unmarshal(raw, &values); err != nil {
			return unreadable(fmt.Errorf("the %s of a secret is not an object", field))
		}
		for key := range values {
			values[key] = placeholder
		}
		encoded, err := Encode(values)
		if err != nil {
			return err
		}
		o[field] = json.RawMessage(encoded)
	}
	raw, ok := metadata["annotations"]
	if !ok {
		return nil
	}
	var annotations map[string]string
	if err := json.Unmarshal(raw, &annotations); err != nil {
		return unreadable(errors.New("the annotations of a secret are not strings"))
	}
	if _, ok := annotations[corev1.LastAppliedConfigAnnotation]; ok {
		annotations[corev1.LastAppliedConfigAnnotation] = Masked
	}
	encoded, err := Encode(annotations)
	metadata["annotations"] = json.RawMessage(encoded)
	return err
}
