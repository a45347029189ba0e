// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accessreview evaluates the status of SubjectAccessReviews and SelfSubjectAccessReviews.
package accessreview

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// Allows returns true if the status allows the request. If the status neither allows nor explicitly denies the request
// and has an evaluationError, Allows returns this error. Otherwise, it ignores the evaluationError like kube-apiserver:
// the evaluationError then concerns a rule that did not decide.
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
