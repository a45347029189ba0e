// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"encoding/json"
	"fmt"
)

// withoutEmpty removes the fields of a kubeconfig in JSON that are null, false or empty, because they have the same
// meaning as absent fields. Tools write such fields for unused features, for example exec: null.
func withoutEmpty(text []byte) ([]byte, error) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("reading a kubeconfig: %w", err)
	}
	prune(value)
	out, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding a kubeconfig: %w", err)
	}
	return out, nil
}

func prune(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, field := range v {
			if isEmpty(field) {
				delete(v, key)
				continue
			}
			prune(field)
		}
	case []any:
		for _, element := range v {
			prune(element)
		}
	}
}

func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}
