// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package condition sets and writes the conditions of KubeVision's objects, Ready first.
package condition

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/answer"
)

// maxMessage keeps a message readable in a terminal. The API's own limit is 32768.
const maxMessage = 1024

// Set sets a condition of the generation that was observed. The time of its last transition changes with its status only.
func Set(conditions *[]metav1.Condition, generation int64, conditionType string, status metav1.ConditionStatus, reason, message string) {
	if len(*conditions) == 0 { // whatever is set first, Ready is shown first
		*conditions = []metav1.Condition{{Type: kubevisionv1alpha1.ReadyCondition}}
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: Truncate(message), ObservedGeneration: generation,
	})
}

// Truncate returns a message in one line that fits.
func Truncate(message string) string { return answer.Text(message, maxMessage) }
