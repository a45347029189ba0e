// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package user makes KubeVisionUsers true: it takes their passwords over from Secrets, and ends the sessions of those who are disabled.
package user

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Indexes of the manager's cache.
const (
	passwordSecretIndex = "spec.passwordSecretRef.name"
	sessionUserIndex    = "spec.userName"
)

// Reconciler reconciles KubeVisionUsers.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	Hasher   *password.Hasher
}

// SetupWithManager watches users, the Secrets that they name or own, and their sessions.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if r.Client == nil || r.Recorder == nil || r.Hasher == nil {
		return errors.New("the user controller needs a client, a recorder and a hasher")
	}
	indexer := mgr.GetFieldIndexer()
	if err := indexer.IndexField(ctx, &kubevisionv1alpha1.KubeVisionUser{}, passwordSecretIndex, func(o client.Object) []string {
		if u, ok := o.(*kubevisionv1alpha1.KubeVisionUser); ok && u.Spec.PasswordSecretRef != nil {
			return []string{u.Spec.PasswordSecretRef.Name}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("indexing users by password secret: %w", err)
	}
	if err := indexer.IndexField(ctx, &kubevisionv1alpha1.KubeVisionSession{}, sessionUserIndex, func(o client.Object) []string {
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
		Complete(r)
}

func (r *Reconciler) usersOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	if secret.GetNamespace() != names.Namespace {
		return nil
	}
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := r.Client.List(ctx, &users, client.MatchingFields{passwordSecretIndex: secret.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the users of a secret", "secret", secret.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(users.Items)+1)
	if name, ok := names.CredentialsOwner(secret.GetName()); ok { // it may be in the way of a user whom it does not name as its owner
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

// Reconcile makes one user true. What was made for a user who is deleted is owned by the user, and goes with it.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (_ ctrl.Result, reterr error) {
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := r.Client.Get(ctx, request.NamespacedName, u); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !u.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	original := u.DeepCopy()
	defer func() {
		reterr = errors.Join(reterr, condition.Patch(ctx, r.Client, r.Recorder, u, original, original.Status.Conditions, u.Status.Conditions))
	}()
	sessions, err := r.sessions(ctx, u)
	if err != nil {
		return ctrl.Result{}, err
	}
	noteLogin(u, sessions)
	if u.Spec.Disabled {
		if err := r.endSessions(ctx, sessions); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, r.reconcileCredentials(ctx, u)
}

func (r *Reconciler) sessions(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) ([]kubevisionv1alpha1.KubeVisionSession, error) {
	var sessions kubevisionv1alpha1.KubeVisionSessionList
	if err := r.Client.List(ctx, &sessions, client.MatchingFields{sessionUserIndex: u.Name}); err != nil {
		return nil, fmt.Errorf("listing the sessions of the user: %w", err)
	}
	return sessions.Items, nil
}

// noteLogin keeps the time of the latest login, also after its session has ended.
func noteLogin(u *kubevisionv1alpha1.KubeVisionUser, sessions []kubevisionv1alpha1.KubeVisionSession) {
	for i := range sessions {
		created := sessions[i].CreationTimestamp
		if sessions[i].Spec.UserUID == u.UID && (u.Status.LastLoginTime == nil || u.Status.LastLoginTime.Before(&created)) {
			u.Status.LastLoginTime = &created
		}
	}
}

func (r *Reconciler) endSessions(ctx context.Context, sessions []kubevisionv1alpha1.KubeVisionSession) error {
	var errs []error
	for i := range sessions {
		if err := r.Client.Delete(ctx, &sessions[i]); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("ending session %s: %w", sessions[i].Name, err))
		}
	}
	return errors.Join(errs...)
}
