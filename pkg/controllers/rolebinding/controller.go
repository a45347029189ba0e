// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rolebinding makes KubeVisionRoleBindings true with RBAC objects on the clusters that they select.
package rolebinding

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/controllers/impersonation"
	"github.com/kubevision-io/kubevision/pkg/controllers/owned"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const finalizerName = "kubevision.io/role-binding"

// Reconciler reconciles KubeVisionRoleBindings.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Writer writes to the host.
	Writer *owned.Writer
	// Impersonator keeps the host's impersonating account.
	Impersonator *impersonation.Keeper
}

// SetupWithManager watches bindings, what they name, and what was made for them.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Recorder == nil || r.Writer == nil || r.Impersonator == nil {
		return errors.New("the role binding controller lacks a dependency")
	}
	all := handler.EnqueueRequestsFromMapFunc(r.all)
	labelled := handler.EnqueueRequestsFromMapFunc(labelledBinding)
	named := builder.WithPredicates(predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetLabels()[names.RoleBindingLabel] != "" }))
	specChanged := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}))
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return ctrl.NewControllerManagedBy(mgr).
		Named("rolebinding").
		For(&kubevisionv1alpha1.KubeVisionRoleBinding{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, all, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, all, specChanged).
		WatchesMetadata(namespace, all, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&rbacv1.ClusterRole{}, labelled, named).
		Watches(&rbacv1.ClusterRoleBinding{}, labelled, named).
		Watches(&rbacv1.RoleBinding{}, labelled, named).
		Complete(r)
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	var list kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing role bindings")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

func labelledBinding(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.GetLabels()[names.RoleBindingLabel]}}}
}

// Reconcile makes one binding true. Ready says that the next request of its subjects is allowed.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (_ ctrl.Result, reterr error) {
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	if err := r.Client.Get(ctx, request.NamespacedName, b); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !b.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.finalize(ctx, b)
	}
	if err := finalizer.Ensure(ctx, r.Client, b, finalizerName); err != nil {
		return ctrl.Result{}, err
	}
	original := b.DeepCopy()
	defer func() {
		reterr = errors.Join(reterr, condition.Patch(ctx, r.Client, r.Recorder, b, original, original.Status.Conditions, b.Status.Conditions))
	}()
	p, err := r.plan(ctx, b)
	if err != nil {
		return ctrl.Result{}, err
	}
	err = r.execute(ctx, b, p)
	report(b, p, err)
	if errors.Is(err, owned.ErrForeign) { // trying again does not make it ours; the condition says what to do
		err = nil
	}
	return ctrl.Result{}, err
}

// execute takes away first what is no longer granted, and grants the use of a cluster last, when the rest of it is in place.
func (r *Reconciler) execute(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) error {
	if err := r.prune(ctx, b, p.keys()); err != nil {
		return err
	}
	if p.onHost {
		if err := r.Impersonator.Ensure(ctx); err != nil {
			return err
		}
	}
	var errs []error
	for _, o := range p.objects {
		errs = append(errs, r.Writer.Apply(ctx, o))
	}
	return errors.Join(errs...)
}

// finalize takes everything away that was made for the binding.
func (r *Reconciler) finalize(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) error {
	return finalizer.Finish(ctx, r.Client, b, finalizerName, func(ctx context.Context) error { return r.prune(ctx, b, nil) })
}

// prune removes what is labelled with the binding's name and not wanted. It reads from the cluster, not from the cache: what was made
// a moment ago must not be overlooked when access ends.
func (r *Reconciler) prune(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, wanted map[objectKey]bool) error {
	selector := client.MatchingLabels{names.RoleBindingLabel: b.Name, names.ManagedByLabel: names.ManagedBy}
	var found []client.Object
	var clusterRoles rbacv1.ClusterRoleList
	var clusterRoleBindings rbacv1.ClusterRoleBindingList
	var roleBindings rbacv1.RoleBindingList
	for _, list := range []client.ObjectList{&clusterRoles, &clusterRoleBindings, &roleBindings} {
		if err := r.Writer.Live.List(ctx, list, selector); err != nil {
			return fmt.Errorf("listing what was made for the binding: %w", err)
		}
	}
	for i := range clusterRoleBindings.Items {
		found = append(found, &clusterRoleBindings.Items[i])
	}
	for i := range roleBindings.Items {
		found = append(found, &roleBindings.Items[i])
	}
	for i := range clusterRoles.Items {
		found = append(found, &clusterRoles.Items[i])
	}
	var errs []error
	for _, o := range found {
		if !wanted[keyOf(o)] {
			errs = append(errs, r.Writer.Delete(ctx, o))
		}
	}
	return errors.Join(errs...)
}
