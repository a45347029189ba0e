// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package user reconciles KubeVisionUsers. It imports passwords from Secrets, resets second factors, and deletes
// sessions that are no longer valid. After a restore from a backup, it sets the restored users as the owners of their
// restored objects. It writes the status, for example the time of the last login and the end of a lockout.
package user

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Names of field indexes of the manager's cache.
const (
	passwordSecretIndex = "spec.passwordSecretRef.name"
	sessionUserIndex    = "spec.userName"
)

// Reconciler reconciles KubeVisionUsers.
type Reconciler struct {
	Client client.Client
	// Live reads from the API server, not from the cache. Reconcile reads the credentials with Live again before it
	// deletes sessions, because the cache may be outdated.
	Live     client.Reader
	Recorder events.EventRecorder
	Hasher   *password.Hasher
	Clock    clock.PassiveClock

	statuses condition.Patcher
}

// SetupWithManager adds watches of users, of the Secrets that they reference or own, and of their sessions.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if r.Client == nil || r.Live == nil || r.Recorder == nil || r.Hasher == nil || r.Clock == nil {
		return errors.New("all fields of the user controller must be set")
	}
	r.Recorder = recorder{r.Recorder}
	indexer := mgr.GetFieldIndexer()
	if err := indexer.IndexField(ctx, &kubevisionv1alpha1.KubeVisionUser{}, passwordSecretIndex,
		func(o client.Object) []string {
			if u, ok := o.(*kubevisionv1alpha1.KubeVisionUser); ok && u.Spec.PasswordSecretRef != nil {
				return []string{u.Spec.PasswordSecretRef.Name}
			}
			return nil
		}); err != nil {
		return fmt.Errorf("indexing users by password secret: %w", err)
	}
	if err := indexer.IndexField(ctx, &kubevisionv1alpha1.KubeVisionSession{}, sessionUserIndex,
		func(o client.Object) []string {
			if s, ok := o.(*kubevisionv1alpha1.KubeVisionSession); ok {
				return []string{s.Spec.UserName}
			}
			return nil
		}); err != nil {
		return fmt.Errorf("indexing sessions by user: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("user").
		For(&kubevisionv1alpha1.KubeVisionUser{}).
		Owns(&corev1.Secret{}).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.usersOfSecret)).
		Watches(&kubevisionv1alpha1.KubeVisionSession{}, handler.EnqueueRequestsFromMapFunc(userOfSession)).
		Watches(&kubevisionv1alpha1.KubeVisionLoginThrottle{}, handler.EnqueueRequestsFromMapFunc(userOfThrottle)).
		Complete(r)
}

func (r *Reconciler) usersOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	if secret.GetNamespace() != names.Namespace {
		return nil
	}
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := r.Client.List(ctx, &users, client.MatchingFields{passwordSecretIndex: secret.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Failed to list the KubeVisionUsers that refer to a Secret",
			"secret", secret.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(users.Items)+1)
	// The Secret may have the name of a user's credentials but no owner reference to the user. In this case, Owns does
	// not enqueue the user.
	if name, ok := names.CredentialsOwner(secret.GetName()); ok {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	for i := range users.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&users.Items[i])})
	}
	return requests
}

func userOfSession(_ context.Context, o client.Object) []reconcile.Request {
	s, ok := o.(*kubevisionv1alpha1.KubeVisionSession)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: s.Spec.UserName}}}
}

// Reconcile reconciles one user. It does nothing for a user who is being deleted, because Kubernetes deletes the
// objects of the user through their owner references.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (_ ctrl.Result, reterr error) {
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := r.Client.Get(ctx, request.NamespacedName, u); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !u.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	if r.statuses.IsStale(u) {
		return ctrl.Result{RequeueAfter: condition.CatchUp}, nil
	}
	if adopted, err := r.adopt(ctx, u); err != nil || adopted {
		return ctrl.Result{}, err
	}
	if reset, err := r.resetTwoFactor(ctx, u); err != nil || reset {
		return ctrl.Result{}, err // the update triggers another reconciliation
	}
	patchStatus := r.statuses.Patch(ctx, r.Client, r.Recorder, u, &u.Status.Conditions, &reterr)
	defer patchStatus()
	locked, err := r.noteLockout(ctx, u)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.reconcileSessions(ctx, u); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: locked}, r.reconcileCredentials(ctx, u)
}
