// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rolebinding makes KubeVisionRoleBindings true with RBAC objects on the clusters that they select.
package rolebinding

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/controllers/impersonation"
	"github.com/kubevision-io/kubevision/pkg/controllers/owned"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	finalizerName = "kubevision.io/role-binding"

	// unwatchedPeriod is how often objects that are not KubeVision's are looked at while a binding waits for one of them. Watching all
	// RBAC objects of a cluster for that would cost more.
	unwatchedPeriod = 5 * time.Second
)

// Reconciler reconciles KubeVisionRoleBindings.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Writer writes to the host.
	Writer *owned.Writer
	// Impersonator keeps the host's impersonating account.
	Impersonator *impersonation.Keeper
	// Roles holds the metadata of all ClusterRoles; the manager's own cache has only those that are KubeVision's.
	Roles cache.Cache
}

// SetupWithManager watches bindings, what they name, and what was made for them.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Recorder == nil || r.Writer == nil || r.Impersonator == nil || r.Roles == nil {
		return errors.New("the role binding controller lacks a dependency")
	}
	all := handler.EnqueueRequestsFromMapFunc(r.all)
	labelled := handler.EnqueueRequestsFromMapFunc(labelledBinding)
	specChanged := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}))
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return ctrl.NewControllerManagedBy(mgr).
		Named("rolebinding").
		For(&kubevisionv1alpha1.KubeVisionRoleBinding{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, all, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, all, specChanged).
		WatchesMetadata(namespace, all, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&rbacv1.ClusterRole{}, labelled).
		Watches(&rbacv1.ClusterRoleBinding{}, labelled).
		Watches(&rbacv1.RoleBinding{}, labelled).
		WatchesRawSource(source.Kind(r.Roles, clusterRoleMetadata(), handler.TypedEnqueueRequestsFromMapFunc(r.boundToRole),
			predicate.TypedFuncs[*metav1.PartialObjectMetadata]{UpdateFunc: func(event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool { return false }})).
		Complete(r)
}

func clusterRoleMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind("ClusterRole"))
	return o
}

// boundToRole are the bindings of a ClusterRole that has appeared or gone.
func (r *Reconciler) boundToRole(ctx context.Context, role *metav1.PartialObjectMetadata) []reconcile.Request {
	return r.those(ctx, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) bool {
		return bindings.ClusterRole(b.Spec.RoleRef) == role.Name
	})
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.those(ctx, func(*kubevisionv1alpha1.KubeVisionRoleBinding) bool { return true })
}

func (r *Reconciler) those(ctx context.Context, wanted func(*kubevisionv1alpha1.KubeVisionRoleBinding) bool) []reconcile.Request {
	var list kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing role bindings")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if wanted(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

// labelledBinding is asked about both sides of a change, so that an object is missed as soon as its label is taken off.
func labelledBinding(_ context.Context, o client.Object) []reconcile.Request {
	if o.GetLabels()[names.RoleBindingLabel] == "" {
		return nil
	}
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
	if errors.Is(err, owned.ErrForeign) {
		err = nil // trying again at once does not make it ours; the condition says what to do
	}
	if applied := meta.FindStatusCondition(b.Status.Conditions, kubevisionv1alpha1.RoleBindingAppliedCondition); err == nil && waitsForOthers(applied) {
		return ctrl.Result{RequeueAfter: unwatchedPeriod}, nil
	}
	return ctrl.Result{}, err
}

// waitsForOthers says whether the binding waits for an object to go that is not KubeVision's, and so is not watched.
func waitsForOthers(applied *metav1.Condition) bool {
	return applied != nil && applied.Reason == kubevisionv1alpha1.ReasonNameConflict
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
	return finalizer.Finish(ctx, r.Client, b, finalizerName, func(ctx context.Context) error { return r.removeAll(ctx, b) })
}
