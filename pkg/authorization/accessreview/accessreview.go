// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accessreview evaluates the status of Kubernetes' access reviews.
package accessreview

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// Allows returns true if the status allows the request. It ignores the evaluation error of an allowed request, which
// concerns another rule, as Kubernetes does. For a request that is not allowed, it returns the evaluation error.
func Allows(status authorizationv1.SubjectAccessReviewStatus) (bool, error) {
	switch {
	case status.Denied:
		return false, nil
	case status.Allowed:
		return true, nil
	case status.EvaluationError != "":
		return false, fmt.Errorf("access review: %s", status.EvaluationError)
	default:
		return false, nil
	}
}
