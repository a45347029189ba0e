// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package condition sets and writes the conditions of KubeVision's objects, Ready first.
package condition

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
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

// Truncate shortens a message that would not fit.
func Truncate(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return message[:maxMessage-3] + "..."
}

// Patch writes the status of an object whose conditions were these before and are those after, where it has changed at all, and makes an
// event of a change of the Ready condition.
func Patch(ctx context.Context, c client.Client, recorder events.EventRecorder, object, original client.Object, before, after []metav1.Condition) error {
	if equality.Semantic.DeepEqual(object, original) {
		return nil
	}
	if err := c.Status().Patch(ctx, object, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("patching the status: %w", err)
	}
	was := meta.FindStatusCondition(before, kubevisionv1alpha1.ReadyCondition)
	is := meta.FindStatusCondition(after, kubevisionv1alpha1.ReadyCondition)
	if is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
		return nil
	}
	eventType := corev1.EventTypeNormal
	if is.Status != metav1.ConditionTrue {
		eventType = corev1.EventTypeWarning
	}
	recorder.Eventf(object, nil, eventType, is.Reason, "Reconcile", "%s", is.Message)
	return nil
}
