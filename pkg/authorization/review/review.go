// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package review reads the answers of Kubernetes' access reviews.
package review

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// Allows reads the status of an access review: only a plain yes is a yes. An evaluation error beside a yes is of a rule that did not
// say yes, and Kubernetes itself lets such a request pass; beside anything else it is an error rather than a no.
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
