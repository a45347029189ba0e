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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/controllers/owned"
	"github.com/kubevision-io/kubevision/pkg/controllers/target"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	finalizerName = "kubevision.io/role-binding"

	// unwatchedPeriod is how often objects that are not KubeVision's are looked at while a binding waits for one of them. Watching all
	// RBAC objects of a cluster for that would cost more.
	unwatchedPeriod = 5 * time.Second
	// failedPeriod is after what a member refused, or did not answer.
	failedPeriod = 15 * time.Second
	// concurrency lets bindings on clusters that answer slowly be waited for while others are looked at.
	concurrency = 8
)

// Reconciler reconciles KubeVisionRoleBindings.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Targets are the connections to the clusters.
	Targets *target.Registry
	// Roles holds the metadata of all ClusterRoles of the host; the manager's own cache has only those that are KubeVision's.
	Roles cache.Cache

	statuses condition.Patcher
}

// SetupWithManager watches bindings, what they name, and what was made for them.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Recorder == nil || r.Targets == nil || r.Roles == nil {
		return errors.New("the role binding controller lacks a dependency")
	}
	all := handler.EnqueueRequestsFromMapFunc(r.all)
	labelled := handler.EnqueueRequestsFromMapFunc(labelledBinding)
	specChanged := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}))
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return ctrl.NewControllerManagedBy(mgr).
		Named("rolebinding").
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency}).
		For(&kubevisionv1alpha1.KubeVisionRoleBinding{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, all, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, all, specChanged).
		WatchesMetadata(namespace, all, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&rbacv1.ClusterRole{}, labelled).
		Watches(&rbacv1.ClusterRoleBinding{}, labelled).
		Watches(&rbacv1.RoleBinding{}, labelled).
		WatchesRawSource(source.Kind(r.Roles, clusterRoleMetadata(), handler.TypedEnqueueRequestsFromMapFunc(r.boundToRole),
			predicate.TypedFuncs[*metav1.PartialObjectMetadata]{UpdateFunc: func(event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool { return false }})).
		WatchesRawSource(r.Targets.Source(r.onMember)).
		Complete(r)
}

// onMember are the bindings that a change on a member concerns: all, where it can be reached now and could not before, or the reverse.
func (r *Reconciler) onMember(ctx context.Context, o client.Object) []reconcile.Request {
	m, isMetadata := o.(*metav1.PartialObjectMetadata)
	switch {
	case o == nil:
		return append(r.all(ctx, nil), r.orphaned(ctx)...)
	case !isMetadata:
		return labelledBinding(ctx, o)
	case m.Kind == "Namespace":
		return r.those(ctx, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) bool { return b.Spec.Namespaces != nil })
	default:
		return r.boundToRole(ctx, m)
	}
}

// orphaned are the bindings, there or not, for which there is something on the members that can be reached.
func (r *Reconciler) orphaned(ctx context.Context) []reconcile.Request {
	var requests []reconcile.Request
	for _, t := range r.Targets.All()[1:] { // without the host
		found, err := made(ctx, t.Writer.Client, client.MatchingLabels{names.ManagedByLabel: names.ManagedBy})
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Listing what was made on a member", "clusterID", t.ID)
		}
		for _, o := range found {
			requests = append(requests, labelledBinding(ctx, o)...)
		}
	}
	return requests
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
	err := r.Client.Get(ctx, request.NamespacedName, b)
	if apierrors.IsNotFound(err) {
		return ctrl.Result{}, r.removeOrphans(ctx, request.Name)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if r.statuses.Behind(b) {
		return ctrl.Result{RequeueAfter: condition.CatchUp}, nil
	}
	if !b.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.finalize(ctx, b)
	}
	if err := finalizer.Ensure(ctx, r.Client, b, finalizerName); err != nil {
		return ctrl.Result{}, err
	}
	original := b.DeepCopy()
	defer func() {
		reterr = errors.Join(reterr, r.statuses.Patch(ctx, r.Client, r.Recorder, b, original, original.Status.Conditions, b.Status.Conditions))
	}()
	p, err := r.plan(ctx, b)
	if err != nil {
		return ctrl.Result{}, err
	}
	err = r.execute(ctx, b, p)
	r.report(b, p, err)
	if err == nil || errors.Is(err, owned.ErrForeign) { // trying again at once does not make it ours; the condition says what to do
		return ctrl.Result{RequeueAfter: r.nextLook(b, p)}, nil
	}
	return ctrl.Result{}, err
}

// nextLook is when a binding is looked at again though nothing has changed: where it waits for what is not watched.
func (r *Reconciler) nextLook(b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) time.Duration {
	if waitsForOthers(meta.FindStatusCondition(b.Status.Conditions, kubevisionv1alpha1.RoleBindingAppliedCondition)) {
		return unwatchedPeriod
	}
	for _, g := range p.grants {
		if g.err != nil {
			return failedPeriod
		}
	}
	return 0
}

// waitsForOthers says whether the binding waits for an object to go that is not KubeVision's, and so is not watched.
func waitsForOthers(applied *metav1.Condition) bool {
	return applied != nil && applied.Reason == kubevisionv1alpha1.ReasonNameConflict
}
