// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

// noteLockout sets status.lockedUntil if the user is locked out because of failed logins. It returns the remaining time
// of the lockout, or 0.
func (r *Reconciler) noteLockout(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (time.Duration, error) {
	u.Status.LockedUntil = nil
	t := &kubevisionv1alpha1.KubeVisionLoginThrottle{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: throttle.NameOfUser(u.Name)}, t)
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("reading failed logins: %w", err)
	}
	if err != nil || t.Spec.BlockedUntil == nil {
		return 0, nil //nolint:nilerr // no failures
	}
	left := t.Spec.BlockedUntil.Sub(r.Clock.Now())
	if left <= 0 {
		return 0, nil
	}
	u.Status.LockedUntil = t.Spec.BlockedUntil
	return left, nil
}

func userOfThrottle(_ context.Context, o client.Object) []reconcile.Request {
	t, ok := o.(*kubevisionv1alpha1.KubeVisionLoginThrottle)
	if !ok || t.Spec.UserName == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: t.Spec.UserName}}}
}
