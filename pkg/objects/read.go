// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import utiljson "k8s.io/apimachinery/pkg/util/json"

// Read reads what a cluster's API server answered with into a value that has the fields that matter. Whole numbers stay whole.
func Read(body []byte, into any) error {
	if err := utiljson.Unmarshal(body, into); err != nil {
		return unreadable(err)
	}
	return nil
}
