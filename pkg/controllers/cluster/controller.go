// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster makes KubeVisionClusters true: it probes them, and places on each what acting there for users takes.
package cluster

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
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

const (
	finalizerName = "kubevision.io/cluster"

	// probePeriod is the time between two probes, probeJitter the part of it by which probes of many clusters drift apart.
	probePeriod = 30 * time.Second
	probeJitter = 0.2
)

// Reconciler reconciles KubeVisionClusters.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Writer writes to the host.
	Writer *owned.Writer
	// Impersonator keeps the host's impersonating account.
	Impersonator *impersonation.Keeper
	// Prober looks at the host.
	Prober Prober
	Clock  clock.PassiveClock
}

// SetupWithManager watches clusters, what decides whom the impersonating account may act for, and what was placed on the host.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Recorder == nil || r.Writer == nil || r.Impersonator == nil || r.Prober == nil || r.Clock == nil {
		return errors.New("the cluster controller lacks a dependency")
	}
	toHosts := handler.EnqueueRequestsFromMapFunc(r.hosts)
	component := handler.EnqueueRequestsFromMapFunc(r.hostsOfComponent)
	specChanged := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("cluster").
		For(&kubevisionv1alpha1.KubeVisionCluster{}, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionRoleBinding{}, toHosts, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, toHosts, specChanged).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.clustersOfSecret)).
		Watches(&corev1.ServiceAccount{}, component).
		Watches(&rbacv1.ClusterRole{}, component).
		Watches(&rbacv1.ClusterRoleBinding{}, component).
		Watches(&rbacv1.Role{}, component).
		Watches(&rbacv1.RoleBinding{}, component).
		Complete(r)
}

// hostsOfComponent is asked about both sides of a change, so that an object is missed as soon as its label is taken off.
func (r *Reconciler) hostsOfComponent(ctx context.Context, o client.Object) []reconcile.Request {
	if o.GetLabels()[names.ComponentLabel] == "" {
		return nil
	}
	return r.hosts(ctx, o)
}

// hosts are the clusters that are the host.
func (r *Reconciler) hosts(ctx context.Context, _ client.Object) []reconcile.Request {
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	if err := r.Client.List(ctx, &clusters); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing clusters")
		return nil
	}
	var requests []reconcile.Request
	for i := range clusters.Items {
		if clusters.Items[i].Spec.InCluster {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&clusters.Items[i])})
		}
	}
	return requests
}

// Reconcile makes one cluster true, and comes back for the next probe.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (_ ctrl.Result, reterr error) {
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	if err := r.Client.Get(ctx, request.NamespacedName, c); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !c.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.finalize(ctx, c)
	}
	if err := finalizer.Ensure(ctx, r.Client, c, finalizerName); err != nil {
		return ctrl.Result{}, err
	}
	original := c.DeepCopy()
	defer func() {
		reterr = errors.Join(reterr, condition.Patch(ctx, r.Client, r.Recorder, c, original, original.Status.Conditions, c.Status.Conditions))
	}()
	if !c.Spec.InCluster {
		c.Status.ObservedGeneration = c.Generation
		return ctrl.Result{}, r.reconcileRegistered(ctx, c)
	}
	if r.probeDue(c) {
		r.probe(ctx, c)
	}
	err := r.place(ctx, c)
	r.summarize(c)
	c.Status.ObservedGeneration = c.Generation
	return ctrl.Result{RequeueAfter: wait.Jitter(probePeriod, probeJitter)}, err
}

// probeDue lets a change of the cluster be seen at once, and keeps changes of users and bindings, which are many, from causing probes.
func (r *Reconciler) probeDue(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	last := c.Status.LastProbeTime
	return last == nil || c.Status.ObservedGeneration != c.Generation || r.Clock.Since(last.Time) >= probePeriod
}

// finalize takes back what was placed on the host, unless the host stays registered under another name.
func (r *Reconciler) finalize(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) error {
	return finalizer.Finish(ctx, r.Client, c, finalizerName, func(ctx context.Context) error {
		if !c.Spec.InCluster || r.otherHost(ctx, c) {
			return nil
		}
		return errors.Join(r.removeRoles(ctx), r.Impersonator.Remove(ctx))
	})
}

func (r *Reconciler) otherHost(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) bool {
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	if err := r.Client.List(ctx, &clusters); err != nil {
		return true // what cannot be known to be unused stays
	}
	for i := range clusters.Items {
		other := &clusters.Items[i]
		if other.UID != c.UID && other.Spec.InCluster && other.DeletionTimestamp.IsZero() {
			return true
		}
	}
	return false
}

// place applies the built-in roles and the impersonating account.
func (r *Reconciler) place(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) error {
	err := errors.Join(r.applyRoles(ctx), r.Impersonator.Ensure(ctx))
	status, reason, message := metav1.ConditionTrue, kubevisionv1alpha1.ReasonImpersonatorApplied, "the account that acts for users is in place"
	if err != nil {
		status, reason, message = metav1.ConditionFalse, kubevisionv1alpha1.ReasonApplyFailed, err.Error()
	}
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterImpersonationCondition, status, reason, message)
	return err
}
