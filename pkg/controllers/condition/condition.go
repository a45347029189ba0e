// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package condition sets and writes the conditions of KubeVision's objects. Ready is the first of them.
package condition

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// maxMessage keeps a message readable in a terminal. The limit of the API is 32768.
const maxMessage = 1024

// Set sets the condition of a type for an observed generation, with a truncated message. The time of its last
// transition changes only if its status changes. If the list is empty, Set also adds the condition Ready as the first
// one.
func Set(
	conditions *[]metav1.Condition, generation int64, conditionType string, status metav1.ConditionStatus,
	reason, message string,
) {
	if len(*conditions) == 0 { // Ready is the first condition, independent of the order of the calls.
		*conditions = []metav1.Condition{{Type: kubevisionv1alpha1.ReadyCondition}}
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: Truncate(message), ObservedGeneration: generation,
	})
}

// Truncate returns a message in one line of bounded length.
func Truncate(message string) string { return response.Text(message, maxMessage) }
