// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// conditions returns the conditions in a status.
func conditions(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *kubevisionv1alpha1.KubeVisionUser:
		return o.Status.Conditions
	case *kubevisionv1alpha1.KubeVisionCluster:
		return o.Status.Conditions
	case *kubevisionv1alpha1.KubeVisionRoleBinding:
		return o.Status.Conditions
	}
	return nil
}

// AwaitCondition waits until the object has a condition with the given type, status and reason at its current
// generation. It returns the condition.
func (s *Shared) AwaitCondition(
	tb testing.TB, o client.Object, conditionType string, status metav1.ConditionStatus, reason string,
) metav1.Condition {
	tb.Helper()
	var found metav1.Condition
	fixture.Eventually(tb, fmt.Sprintf("wait for %s=%s (%s) of %s", conditionType, status, reason, o.GetName()),
		func(ctx context.Context) error {
			if err := s.client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
				return fmt.Errorf("reading the object: %w", err)
			}
			c := meta.FindStatusCondition(conditions(o), conditionType)
			if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != o.GetGeneration() {
				return fmt.Errorf("generation %d has the condition %+v", o.GetGeneration(), c)
			}
			found = *c
			return nil
		})
	return found
}

// AwaitReady waits until the object is ready.
func (s *Shared) AwaitReady(tb testing.TB, o client.Object) {
	tb.Helper()
	s.AwaitCondition(tb, o, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonReady)
}

// AwaitNotReady waits until the object is not ready, with the given reason.
func (s *Shared) AwaitNotReady(tb testing.TB, o client.Object, reason string) metav1.Condition {
	tb.Helper()
	return s.AwaitCondition(tb, o, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse, reason)
}

// Change reads an object, changes it, and writes it back.
func Change[T client.Object](tb testing.TB, c client.Client, o T, change func(T)) {
	tb.Helper()
	fixture.Eventually(tb, "change "+o.GetName(), func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return fmt.Errorf("reading the object: %w", err)
		}
		change(o)
		if err := c.Update(ctx, o); err != nil {
			return fmt.Errorf("writing the object: %w", err)
		}
		return nil
	})
}
