// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accessreview evaluates the status of SubjectAccessReviews and SelfSubjectAccessReviews.
package accessreview

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// Allows returns true if the status allows the request. If the status allows or explicitly denies the request, Allows
// ignores the evaluationError, like kube-apiserver. If the status does neither, Allows returns the evaluationError as
// an error.
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
