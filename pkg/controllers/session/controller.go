// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package session deletes KubeVisionSessions that have expired or exceed the limits.
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
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
)

// retention is the time for which a session is kept after its expiry. During this time, its refresh token is reported
// as expired. After the deletion of the session, the token is reported as invalid.
const retention = 24 * time.Hour

const (
	// indexLag is the time after which a session that is missing in the index is reconciled again.
	indexLag = 100 * time.Millisecond
	// endLag is the time between a deletion of excess sessions and the next check of the limits.
	endLag = time.Second
)

// Reconciler reconciles KubeVisionSessions.
type Reconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
	// Limits bounds the number of sessions.
	Limits sessionindex.Limits
	// Audit records which sessions are deleted because of the limits.
	Audit *audit.Log

	index sessionindex.Index
}

// SetupWithManager adds a watch of sessions.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if r.Client == nil || r.Clock == nil || r.Audit == nil {
		return errors.New("all fields of the session controller must be set")
	}
	informer, err := mgr.GetCache().GetInformer(ctx, &kubevisionv1alpha1.KubeVisionSession{},
		cache.BlockUntilSynced(false))
	if err == nil {
		_, err = informer.AddEventHandler(r.index.Handler())
	}
	if err != nil {
		return fmt.Errorf("counting sessions: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).Named("session").For(&kubevisionv1alpha1.KubeVisionSession{}).Complete(r)
}

// Reconcile deletes the session if its retention has ended, or requeues it. It also deletes sessions that exceed the
// limits, because concurrent logins on several replicas may create too many.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	s := &kubevisionv1alpha1.KubeVisionSession{}
	if err := r.Client.Get(ctx, request.NamespacedName, s); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	again, err := r.enforceLimits(ctx, s)
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

// enforceLimits deletes sessions if the user of the session s has too many sessions, or if all users together have too
// many. It returns the time until the next check, or 0 if no check is needed.
func (r *Reconciler) enforceLimits(
	ctx context.Context, s *kubevisionv1alpha1.KubeVisionSession,
) (time.Duration, error) {
	if !r.index.Has(s.Name) {
		return indexLag, nil // the event handler of the index may run later than the one that enqueues the session
	}
	excess := r.index.Excess(s.Spec.UserUID, 0, r.Limits)
	var errs []error
	for _, one := range excess {
		errs = append(errs, sessionindex.End(ctx, r.Client, r.Audit, one))
	}
	if len(excess) == 0 {
		return 0, nil
	}
	return endLag, errors.Join(errs...)
}
