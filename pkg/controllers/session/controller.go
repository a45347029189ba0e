// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package session removes the KubeVisionSessions that have expired.
package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// retention is how long an expired session stays, so that its refresh token can be called expired rather than unknown.
const retention = 24 * time.Hour

// Reconciler reconciles KubeVisionSessions.
type Reconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
}

// SetupWithManager watches sessions.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Clock == nil {
		return errors.New("the session controller needs a client and a clock")
	}
	return ctrl.NewControllerManagedBy(mgr).Named("session").For(&kubevisionv1alpha1.KubeVisionSession{}).Complete(r)
}

// Reconcile removes a session that expired long enough ago, and comes back when that will be.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	s := &kubevisionv1alpha1.KubeVisionSession{}
	if err := r.Client.Get(ctx, request.NamespacedName, s); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if left := s.Spec.ExpirationTime.Add(retention).Sub(r.Clock.Now()); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	if err := r.Client.Delete(ctx, s, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("deleting the expired session: %w", err)
	}
	return ctrl.Result{}, nil
}
