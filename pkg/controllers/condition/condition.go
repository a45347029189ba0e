// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package condition sets the conditions of KubeVision's objects and writes their status.
package condition

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// maxMessage bounds the length of a message in bytes. The API allows 32768, but messages must be readable in a
// terminal.
const maxMessage = 1024

// Set sets a condition, and cuts the message to maxMessage bytes. The lastTransitionTime of the condition changes only
// if the status changes. If there are no conditions yet, Set adds the condition Ready first. Therefore, Ready is always
// the first condition.
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

// Truncate returns the message as one line of at most maxMessage bytes.
func Truncate(message string) string { return response.Text(message, maxMessage) }
