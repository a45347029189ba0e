// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signingkey maintains the Secret with the keys that sign access tokens. kubevision-apiserver only reads it.
package signingkey

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/controllers/predicates"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Reconciler reconciles the Secret with the signing keys.
type Reconciler struct {
	Client client.Client
	// Live reads from the API server. An outdated cache could cause the creation of a second key.
	Live  client.Reader
	Clock clock.PassiveClock
	// Period is the time after which a new key is created.
	Period time.Duration
}

func secretKey() types.NamespacedName {
	return types.NamespacedName{Namespace: names.Namespace, Name: names.SigningKeysSecret}
}

// SetupWithManager registers the controller, which watches the Secret with the signing keys. All fields of r must be
// set.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Live == nil || r.Clock == nil || r.Period <= 0 {
		return errors.New("all fields of the signing key controller must be set")
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("signingkey").
		For(&corev1.Secret{}, builder.WithPredicates(predicates.Named(secretKey()))).
		WatchesRawSource(predicates.OnStart(secretKey())).
		Complete(r)
}

// Reconcile creates the first key, and rotates keys when they are due. If the keys cannot be parsed, it returns an
// error and does not replace them, because this would end all sessions.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, secretKey(), secret)
	if apierrors.IsNotFound(err) {
		return ctrl.Result{}, r.create(ctx)
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reading the signing keys: %w", err)
	}
	if len(secret.Data) == 0 {
		return ctrl.Result{}, r.reportUnreadable(errors.New("the Secret is empty"))
	}
	now := r.Clock.Now()
	rotated, changed, next, err := token.Rotate(secret.Data, now, r.Period)
	if err != nil {
		return ctrl.Result{}, r.reportUnreadable(err)
	}
	if changed {
		secret.Data = rotated
		if err := r.Client.Update(ctx, secret); err != nil { // Update fails if another leader was faster.
			return ctrl.Result{}, fmt.Errorf("rotating the signing keys: %w", err)
		}
		ctrl.LoggerFrom(ctx).Info("Signing keys rotated", "keys", len(rotated))
	}
	return ctrl.Result{RequeueAfter: max(next.Sub(now), time.Second)}, nil
}

func (r *Reconciler) reportUnreadable(err error) error {
	return fmt.Errorf("secret %s contains no valid signing keys; delete it to generate new keys, which ends all "+
		"sessions: %w", secretKey(), err)
}

func (r *Reconciler) create(ctx context.Context) error {
	name, value, err := token.NewKey(r.Clock.Now())
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: names.Namespace, Name: names.SigningKeysSecret,
			Labels: map[string]string{names.ManagedByLabel: names.ManagedBy},
		},
		Data: map[string][]byte{name: value},
	}
	if err := r.Client.Create(ctx, secret); err != nil {
		return fmt.Errorf("creating the signing keys: %w", err)
	}
	ctrl.LoggerFrom(ctx).Info("Signing key generated", "key", name)
	return nil
}
