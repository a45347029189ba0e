// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lastadmin writes a KubeVisionPolicyParameter that names the only remaining administrator who can log in. The
// admission policies of the host cluster read the parameter and reject the removal of this administrator. They cannot
// determine the administrator themselves, because CEL expressions cannot list users.
package lastadmin

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/predicates"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Reconciler maintains the KubeVisionPolicyParameter with the name names.LastAdminParameter.
type Reconciler struct {
	Client client.Client
}

func parameterKey() types.NamespacedName { return types.NamespacedName{Name: names.LastAdminParameter} }

// SetupWithManager adds watches of the KubeVisionPolicyParameter, and of the users, role bindings, clusters and
// credentials on which it depends.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil {
		return errors.New("the last admin controller lacks a client")
	}
	one := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: parameterKey()}}
	})
	specChanged := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	selectionChanged := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{},
		predicate.LabelChangedPredicate{}))
	holdsCredentials := builder.WithPredicates(predicate.NewPredicateFuncs(func(o client.Object) bool {
		_, ok := names.CredentialsOwner(o.GetName())
		return ok
	}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("lastadmin").
		For(&kubevisionv1alpha1.KubeVisionPolicyParameter{}, builder.WithPredicates(predicates.Named(parameterKey()))).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, one, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionRoleBinding{}, one, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, one, selectionChanged).
		Watches(&corev1.Secret{}, one, holdsCredentials).
		WatchesRawSource(predicates.OnStart(parameterKey())).
		Complete(r)
}

// Reconcile computes the KubeVisionPolicyParameter, and writes it if it has changed.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	grants, err := r.grants(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	wanted := kubevisionv1alpha1.KubeVisionPolicyParameterSpec{LastAdmin: parameter(grants)}
	existing := &kubevisionv1alpha1.KubeVisionPolicyParameter{}
	err = r.Client.Get(ctx, parameterKey(), existing)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading the parameter %s: %w", names.LastAdminParameter, err)
	}
	if err == nil && equality.Semantic.DeepEqual(existing.Spec, wanted) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, apply.PolicyParameter(ctx, r.Client, names.LastAdminParameter, wanted)
}

// grants returns the grants that make users administrators of the host cluster. It omits users who cannot log in.
func (r *Reconciler) grants(ctx context.Context) ([]grant, error) {
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := r.Client.List(ctx, &users, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing role bindings: %w", err)
	}
	var registered kubevisionv1alpha1.KubeVisionClusterList
	if err := r.Client.List(ctx, &registered, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	host := clusters.HostRegistration(registered.Items)
	var out []grant
	for i := range all.Items {
		if !grantsAdmin(&all.Items[i], host) {
			continue
		}
		out = append(out, grantsOf(&all.Items[i], users.Items)...)
	}
	return r.usable(ctx, out)
}

// usable returns those of the given grants whose user has a password. A user has a password if the Secret with the
// credentials of the user contains a password hash. usable does not read the Secret in the user's
// spec.passwordSecretRef. KubeVision imports a password from this Secret, but the password remains valid after the
// deletion of this Secret.
func (r *Reconciler) usable(ctx context.Context, grants []grant) ([]grant, error) {
	known := map[string]bool{}
	var out []grant
	for _, g := range grants {
		has, asked := known[g.user.Name]
		if !asked {
			var err error
			if has, err = r.hasPassword(ctx, g.user); err != nil {
				return nil, err
			}
			known[g.user.Name] = has
		}
		if has {
			out = append(out, g)
		}
	}
	return out, nil
}

func (r *Reconciler) hasPassword(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (bool, error) {
	secret := &corev1.Secret{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(u.Name)},
		secret)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the credentials of user %s: %w", u.Name, err)
	}
	return err == nil && metav1.IsControlledBy(secret, u) && len(secret.Data[credentials.PasswordHashKey]) > 0, nil
}

// grantsAdmin returns true if the binding grants the role admin in all namespaces of the host cluster. host is nil if
// the host cluster is not registered.
func grantsAdmin(b *kubevisionv1alpha1.KubeVisionRoleBinding, host *kubevisionv1alpha1.KubeVisionCluster) bool {
	role, _ := bindings.BuiltInRole(b.Spec.RoleRef)
	if role != kubevisionv1alpha1.RoleAdmin || b.Spec.Namespaces != nil || !b.DeletionTimestamp.IsZero() {
		return false
	}
	// A binding for every cluster will also grant the role if the host cluster is registered later.
	if bindings.SelectsEveryCluster(b.Spec.Clusters) {
		return true
	}
	if host == nil {
		return false
	}
	ok, err := bindings.SelectsCluster(b.Spec.Clusters, host.Name, host.Labels)
	return err == nil && ok
}
