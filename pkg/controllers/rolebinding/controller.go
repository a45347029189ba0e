// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rolebinding reconciles KubeVisionRoleBindings: it grants the rights of each binding with RBAC objects on the
// selected clusters. For each binding, it plans the ClusterRoleBindings and RoleBindings, applies them, revokes rights
// that are no longer in the plan, and writes the result to the status. It limits the total size of the RBAC objects on
// each cluster. It reconciles a binding again when a user, a cluster, a namespace, a role or one of the planned objects
// changes.
package rolebinding

import (
	"context"
	"errors"
	"slices"
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
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/controllers/predicates"
)

const (
	finalizerName = "kubevision.io/role-binding"

	// nameConflictPeriod is the time after which a binding is reconciled again if an object of another owner has the
	// name of a required object.
	nameConflictPeriod = 5 * time.Second
	// failedPeriod is the time after which a binding is reconciled again if a member cluster failed or a size limit is
	// reached.
	failedPeriod = 15 * time.Second
	// nextTurn is the time until the next reconciliation of a binding that has more objects to write. Meanwhile, the
	// cache receives the objects that the previous reconciliation has written.
	nextTurn = 50 * time.Millisecond
	// DefaultConcurrency is the default number of bindings that are reconciled concurrently. It is more than one
	// because a reconciliation may wait for a slow cluster.
	DefaultConcurrency = 8
)

// Reconciler reconciles KubeVisionRoleBindings.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Targets contains the connections to the clusters.
	Targets *clustercache.Registry
	// Roles caches the metadata of all ClusterRoles of the host cluster. The cache of the manager contains only the
	// ClusterRoles with KubeVision's label.
	Roles cache.Cache
	// Concurrency is the number of bindings that are reconciled concurrently.
	Concurrency int

	statuses    condition.Patcher
	budgets     *budgets
	revocations *revocations
	// unreachable contains the bindings that select at least one unreachable cluster.
	unreachable *bindingGauge
	revoking    activeRevocations
}

// SetupWithManager adds watches of role bindings, of the objects on which they depend, and of the RBAC objects that the
// controller creates.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Recorder == nil || r.Targets == nil || r.Roles == nil {
		return errors.New("all fields of the role binding controller must be set")
	}
	r.budgets = newBudgets()
	r.revocations = &revocations{pending: newBindingGauge(pendingRevocations)}
	r.unreachable = newBindingGauge(unreachableBindings)
	all := handler.EnqueueRequestsFromMapFunc(r.requestsForAll)
	later := builder.WithPredicates(predicates.SkipInitialList())
	specChanged := builder.WithPredicates(predicates.SkipInitialList(),
		predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}))
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return ctrl.NewControllerManagedBy(mgr).
		Named("rolebinding").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Concurrency}).
		For(&kubevisionv1alpha1.KubeVisionRoleBinding{},
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, r.userHandler(), later).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, all, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, handler.EnqueueRequestsFromMapFunc(r.requestsForCluster),
			builder.WithPredicates(predicates.SkipInitialList(), probedChanged())).
		WatchesMetadata(namespace, handler.EnqueueRequestsFromMapFunc(r.requestsForNamespace),
			builder.WithPredicates(predicates.SkipInitialList(), predicate.LabelChangedPredicate{})).
		Watches(&rbacv1.ClusterRole{}, madeObjectHandler()).
		Watches(&rbacv1.ClusterRole{}, r.ownRoleHandler(), later).
		Watches(&rbacv1.ClusterRoleBinding{}, madeObjectHandler()).
		Watches(&rbacv1.RoleBinding{}, madeObjectHandler()).
		WatchesRawSource(source.Kind(r.Roles, clusterRoleMetadata(),
			handler.TypedEnqueueRequestsFromMapFunc(r.requestsForRoleMetadata),
			predicate.TypedFuncs[*metav1.PartialObjectMetadata]{
				CreateFunc: func(e event.TypedCreateEvent[*metav1.PartialObjectMetadata]) bool {
					return !e.IsInInitialList
				},
				UpdateFunc: func(event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool { return false },
			})).
		WatchesRawSource(r.Targets.Source(r.requestsForMember)).
		WatchesRawSource(inBackground(r.Targets.Source(requestsForMadeObject))).
		Complete(r)
}

func (r *Reconciler) requestsForRoleMetadata(
	ctx context.Context, role *metav1.PartialObjectMetadata,
) []reconcile.Request {
	return r.requestsForRole(ctx, role)
}

func clusterRoleMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind("ClusterRole"))
	return o
}

// Reconcile applies one binding to the clusters that it selects, and writes its status. It sets the condition Ready to
// True only after the role is in effect on the reachable clusters. When a client sees that Ready is True, the subjects
// have the rights on these clusters.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (_ ctrl.Result, reterr error) {
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	err := r.Client.Get(ctx, request.NamespacedName, b)
	if apierrors.IsNotFound(err) {
		r.unreachable.set(request.Name, false)
		return ctrl.Result{}, r.removeOrphans(ctx, request.Name)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if r.statuses.IsStale(b) {
		return ctrl.Result{RequeueAfter: condition.CatchUp}, nil
	}
	if !b.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.finalize(ctx, b)
	}
	if err := finalizer.Ensure(ctx, r.Client, b, finalizerName); err != nil {
		return ctrl.Result{}, err
	}
	patchStatus := r.statuses.Patch(ctx, r.Client, r.Recorder, b, &b.Status.Conditions, &reterr)
	defer patchStatus()
	p, err := r.plan(ctx, b)
	if err != nil {
		return ctrl.Result{}, err
	}
	err = r.execute(ctx, b, p)
	r.report(b, p, err)
	if err == nil && p.waiting() {
		return ctrl.Result{RequeueAfter: nextTurn, Priority: new(handler.LowPriority)}, nil
	}
	// ErrForeign is not returned, because retries with backoff do not help: a user must delete the object of the other
	// owner, or rename the binding. The condition says so.
	if err == nil || errors.Is(err, apply.ErrForeign) {
		return ctrl.Result{RequeueAfter: r.requeueAfter(b, p), Priority: new(0)}, nil
	}
	return ctrl.Result{}, err
}

// requeueAfter returns the time after which the binding is reconciled again although nothing has changed, or 0. It is
// not 0 if the binding waits for a change that is not watched.
func (r *Reconciler) requeueAfter(b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) time.Duration {
	if isBlockedByForeign(meta.FindStatusCondition(b.Status.Conditions,
		kubevisionv1alpha1.RoleBindingAppliedCondition)) {
		// The cache contains only KubeVision's objects, so the controller does not notice when the other object is
		// deleted.
		return nameConflictPeriod
	}
	if p.leftOut || slices.ContainsFunc(p.grants, func(g *grant) bool { return g.err != nil || g.excess != "" }) {
		return failedPeriod
	}
	return 0
}

// isBlockedByForeign returns true if the condition Applied says that an object of another owner has the name of a
// required object.
func isBlockedByForeign(applied *metav1.Condition) bool {
	return applied != nil && applied.Reason == kubevisionv1alpha1.ReasonNameConflict
}
