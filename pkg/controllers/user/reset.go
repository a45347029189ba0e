// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// resetTwoFactor removes the second factor of the user if an annotation requests it. It then removes the annotation and
// returns true. It returns false if there is no annotation.
func (r *Reconciler) resetTwoFactor(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (bool, error) {
	if _, asked := u.Annotations[names.ResetTwoFactorAnnotation]; !asked {
		return false, nil
	}
	stored, err := r.readCredentials(ctx, u)
	if err != nil && !errors.Is(err, errForeign) {
		return false, err
	}
	if stored != nil {
		stored = stored.DeepCopy()
		if err := (&credentials.SecondFactor{}).Write(stored); err != nil {
			return false, err
		}
		credentials.BeginEpoch(stored, "")
		if err := r.Client.Update(ctx, stored); err != nil {
			return false, fmt.Errorf("removing the second factor: %w", err)
		}
	}
	done := u.DeepCopy()
	delete(done.Annotations, names.ResetTwoFactorAnnotation)
	if err := r.Client.Patch(ctx, done, client.MergeFrom(u)); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("removing the annotation %s: %w", names.ResetTwoFactorAnnotation, err)
	}
	r.Recorder.Eventf(u, nil, corev1.EventTypeNormal, "SecondFactorReset", "Reconcile",
		"the second factor was removed, and all sessions end")
	return true, nil
}
