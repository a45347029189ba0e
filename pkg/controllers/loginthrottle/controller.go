// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loginthrottle deletes KubeVisionLoginThrottles that no longer have an effect. A KubeVisionLoginThrottle
// counts failed logins, which expire after some time.
package loginthrottle

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

// Reconciler reconciles KubeVisionLoginThrottles.
type Reconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
}

// SetupWithManager adds a watch of KubeVisionLoginThrottles.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Clock == nil {
		return errors.New("the login throttle controller needs a client and a clock")
	}
	return ctrl.NewControllerManagedBy(mgr).Named("loginthrottle").For(&kubevisionv1alpha1.KubeVisionLoginThrottle{}).
		Complete(r)
}

// Reconcile deletes the object if it no longer has an effect (see throttle.ForgivenAt), or requeues it. Reconcile does
// not delete an object that has changed meanwhile.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	t := &kubevisionv1alpha1.KubeVisionLoginThrottle{}
	if err := r.Client.Get(ctx, request.NamespacedName, t); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if left := throttle.ForgivenAt(t).Sub(r.Clock.Now()); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	unchanged := client.Preconditions{UID: &t.UID, ResourceVersion: &t.ResourceVersion}
	if err := r.Client.Delete(ctx, t, unchanged); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("deleting the throttle: %w", err)
	}
	return ctrl.Result{}, nil
}
