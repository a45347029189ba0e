// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accessreview evaluates the status of SubjectAccessReviews and SelfSubjectAccessReviews.
package accessreview

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// Allows returns true if the status allows the request. It returns an error if the status contains an evaluationError,
// and neither allows nor explicitly denies the request.
func Allows(status authorizationv1.SubjectAccessReviewStatus) (bool, error) {
	switch { // like kube-apiserver, ignore the evaluationError if there is a decision
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
