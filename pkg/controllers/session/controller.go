// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package session removes the KubeVisionSessions that have expired, and those that are too many.
package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessions"
)

// retention is how long an expired session stays, so that its refresh token can be called expired rather than unknown.
const retention = 24 * time.Hour

const (
	// indexLag is after which the index is asked again about a session that it does not know yet.
	indexLag = 100 * time.Millisecond
	// endLag is after which sessions that were too many should be gone.
	endLag = time.Second
)

// Reconciler reconciles KubeVisionSessions.
type Reconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
	// Limits are how many sessions there may be.
	Limits sessions.Limits
	// Audit is told of the sessions that are ended for being too many.
	Audit *audit.Log

	index sessions.Index
}

// SetupWithManager watches sessions.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if r.Client == nil || r.Clock == nil || r.Audit == nil {
		return errors.New("the session controller lacks a dependency")
	}
	informer, err := mgr.GetCache().GetInformer(ctx, &kubevisionv1alpha1.KubeVisionSession{}, cache.BlockUntilSynced(false))
	if err == nil {
		_, err = informer.AddEventHandler(r.index.Handler())
	}
	if err != nil {
		return fmt.Errorf("counting sessions: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).Named("session").For(&kubevisionv1alpha1.KubeVisionSession{}).Complete(r)
}

// Reconcile removes a session that expired long enough ago, and comes back when that will be. Of the sessions of its user, and of all, it ends
// those that are too many: logins on several replicas at once do not see each other.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	s := &kubevisionv1alpha1.KubeVisionSession{}
	if err := r.Client.Get(ctx, request.NamespacedName, s); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	again, err := r.bound(ctx, s)
	if err != nil {
		return ctrl.Result{}, err
	}
	if left := s.Spec.ExpirationTime.Add(retention).Sub(r.Clock.Now()); left > 0 {
		if again > 0 {
			left = min(left, again)
		}
		return ctrl.Result{RequeueAfter: left}, nil
	}
	if err := r.Client.Delete(ctx, s, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("deleting the expired session: %w", err)
	}
	return ctrl.Result{}, nil
}

// bound ends the sessions that are too many, and says when to look again, 0 for never.
func (r *Reconciler) bound(ctx context.Context, s *kubevisionv1alpha1.KubeVisionSession) (time.Duration, error) {
	if !r.index.Has(s.Name) {
		return indexLag, nil
	}
	excess := r.index.Excess(s.Spec.UserUID, 0, r.Limits)
	var errs []error
	for _, one := range excess {
		errs = append(errs, sessions.End(ctx, r.Client, r.Audit, one))
	}
	if len(excess) == 0 {
		return 0, nil
	}
	return endLag, errors.Join(errs...)
}
