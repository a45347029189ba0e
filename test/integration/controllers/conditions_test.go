// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func reported(tb testing.TB, o client.Object) (conditions []metav1.Condition, observed int64) {
	tb.Helper()
	switch o := o.(type) {
	case *kubevisionv1alpha1.KubeVisionUser:
		return o.Status.Conditions, o.Status.ObservedGeneration
	case *kubevisionv1alpha1.KubeVisionCluster:
		return o.Status.Conditions, o.Status.ObservedGeneration
	case *kubevisionv1alpha1.KubeVisionRoleBinding:
		return o.Status.Conditions, o.Status.ObservedGeneration
	}
	tb.Fatalf("%T has no conditions", o)
	return nil, 0
}

func awaitCondition(
	tb testing.TB, o client.Object, conditionType string, status metav1.ConditionStatus, reason string,
) metav1.Condition {
	tb.Helper()
	var found metav1.Condition
	eventually(tb, soon, fmt.Sprintf("wait for %s=%s (%s) of %s", conditionType, status, reason,
		o.GetName()), func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		conditions, observed := reported(tb, o)
		c := meta.FindStatusCondition(conditions, conditionType)
		switch {
		case c == nil:
			return fmt.Errorf("there is no such condition among %+v", conditions)
		case c.Status != status || c.Reason != reason:
			return fmt.Errorf("it is %s (%s): %s", c.Status, c.Reason, c.Message)
		case c.ObservedGeneration != o.GetGeneration() || observed != o.GetGeneration():
			return fmt.Errorf("the condition has generation %d, the status %d, the object %d", c.ObservedGeneration,
				observed, o.GetGeneration())
		case conditions[0].Type != kubevisionv1alpha1.ReadyCondition:
			return fmt.Errorf("the first condition is %s", conditions[0].Type)
		}
		found = *c
		return nil
	})
	return found
}

func awaitReady(tb testing.TB, o client.Object) {
	tb.Helper()
	awaitCondition(tb, o, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonReady)
}

func awaitNotReady(tb testing.TB, o client.Object, reason string) metav1.Condition {
	tb.Helper()
	return awaitCondition(tb, o, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse, reason)
}

// staysNotReady waits until the Ready condition of an object is false with the given reason. It fails the test if the
// reason changes soon afterwards.
func staysNotReady(tb testing.TB, o client.Object, reason string) {
	tb.Helper()
	awaitNotReady(tb, o, reason)
	holds(tb, settling, "without changes", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		conditions, _ := reported(tb, o)
		if c := meta.FindStatusCondition(conditions, kubevisionv1alpha1.ReadyCondition); c == nil ||
			c.Reason != reason {
			return fmt.Errorf("the condition is %+v, want %s", c, reason)
		}
		return nil
	})
}
