// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster contains the controller of KubeVisionClusters. It probes each cluster, and writes the version, the
// number of nodes and the conditions to the status. After a failed probe of a member cluster, it tries again with
// increasing delays. It creates the built-in roles, the impersonating ServiceAccount and the ServiceAccount of the read
// cache on each cluster, and corrects them when they change there. When a KubeVisionCluster is deleted, its finalizer
// removes these objects from the cluster. The controller keeps state in memory for each KubeVisionCluster by its UID,
// for example the delay until the next try, and discards the state when the KubeVisionCluster no longer exists.
//
// The connections to the clusters are in package clustercache, which also compares the identities of clusters.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/controllers/predicates"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	finalizerName = "kubevision.io/cluster"

	// probePeriod is the minimum time between two probes of a cluster.
	probePeriod = 30 * time.Second
	// probeJitter is the maximum random time that is added to probePeriod, as a fraction of probePeriod.
	probeJitter = 0.2

	// DefaultConcurrency is the default number of clusters that are reconciled concurrently. The number is high because
	// a cluster that does not respond occupies a worker until a timeout.
	DefaultConcurrency = 16
)

// Reconciler reconciles KubeVisionClusters.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Targets contains the connections to the clusters.
	Targets *clustercache.Registry
	// Host is a client for the host cluster.
	Host kubernetes.Interface
	// HostURL is the URL of the host cluster's API server.
	HostURL string
	Clock   clock.PassiveClock
	// Concurrency is the number of clusters that are reconciled concurrently.
	Concurrency int

	retries retries
	// cleaned maps the name of a KubeVisionCluster to its UID. It contains only KubeVisionClusters whose finalizer was
	// removed. It prevents a second cleanup while the cache still contains the deleted KubeVisionCluster.
	cleaned  sync.Map
	statuses condition.Patcher
}

// SetupWithManager adds watches of KubeVisionClusters and of the objects that the controller creates. It also adds
// watches of users and role bindings, because they determine the names that may be impersonated.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Recorder == nil || r.Targets == nil || r.Host == nil || r.Clock == nil {
		return errors.New("all fields of the cluster controller must be set")
	}
	all := handler.EnqueueRequestsFromMapFunc(r.requestsForAll)
	component := handler.EnqueueRequestsFromMapFunc(r.requestsForHosts)
	later := builder.WithPredicates(predicates.SkipInitialList())
	specChanged := builder.WithPredicates(predicates.SkipInitialList(), predicate.GenerationChangedPredicate{})
	changed := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{},
		predicate.AnnotationChangedPredicate{}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("cluster").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Concurrency}).
		For(&kubevisionv1alpha1.KubeVisionCluster{}, changed).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{},
			handler.EnqueueRequestsFromMapFunc(r.requestsForTwins), builder.WithPredicates(readCacheChanged())).
		Watches(&kubevisionv1alpha1.KubeVisionRoleBinding{}, all, specChanged).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, all,
			builder.WithPredicates(predicates.SkipInitialList(), impersonatedNamesChanged())).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.requestsForSecret), later).
		Watches(&corev1.ServiceAccount{}, component).
		Watches(&rbacv1.ClusterRole{}, component).
		Watches(&rbacv1.ClusterRoleBinding{}, component).
		Watches(&rbacv1.Role{}, component).
		Watches(&rbacv1.RoleBinding{}, component).
		WatchesRawSource(r.Targets.Source(r.requestsForMembers)).
		Complete(r)
}

func impersonatedNamesChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*kubevisionv1alpha1.KubeVisionUser)
		after, ok2 := e.ObjectNew.(*kubevisionv1alpha1.KubeVisionUser)
		// A different UID means that the user was recreated. Users that are being deleted are not impersonated.
		return !ok || !ok2 || before.UID != after.UID || !slices.Equal(before.Spec.Groups, after.Spec.Groups) ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
	}}
}

func (r *Reconciler) requestsForHosts(ctx context.Context, o client.Object) []reconcile.Request {
	if o.GetLabels()[names.ComponentLabel] == "" {
		return nil // KubeVision has not created the object
	}
	return r.requestsFor(ctx, func(c *kubevisionv1alpha1.KubeVisionCluster) bool { return c.Spec.InCluster })
}

// requestsForMembers returns requests for the KubeVisionClusters that an event of package clustercache affects. The
// object o determines the kind of the event (see clustercache.Registry.Source). The requests are for:
//
//   - if o is nil: all KubeVisionClusters for which clustercache.Registry.IsProvisional returns true
//   - if o is a KubeVisionCluster: the KubeVisionCluster with its name
//   - if o is another object with the component label of KubeVision: the KubeVisionClusters of all member clusters
//   - if o is any other object: no KubeVisionClusters
func (r *Reconciler) requestsForMembers(ctx context.Context, o client.Object) []reconcile.Request {
	if o == nil {
		return r.requestsFor(ctx, func(c *kubevisionv1alpha1.KubeVisionCluster) bool {
			return r.Targets.IsProvisional(c.UID)
		})
	}
	if c, ok := o.(*kubevisionv1alpha1.KubeVisionCluster); ok {
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(c)}}
	}
	if o.GetLabels()[names.ComponentLabel] == "" {
		return nil
	}
	return r.requestsFor(ctx, func(c *kubevisionv1alpha1.KubeVisionCluster) bool { return !c.Spec.InCluster })
}

func (r *Reconciler) requestsForAll(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requestsFor(ctx, func(*kubevisionv1alpha1.KubeVisionCluster) bool { return true })
}

func (r *Reconciler) requestsFor(
	ctx context.Context, wanted func(*kubevisionv1alpha1.KubeVisionCluster) bool,
) []reconcile.Request {
	all, err := r.listClusters(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Failed to list clusters")
		return nil
	}
	var requests []reconcile.Request
	for i := range all {
		if wanted(&all[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all[i])})
		}
	}
	return requests
}

// Reconcile reconciles one cluster, and requeues it for the next probe.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, reterr error) {
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	if err := r.Client.Get(ctx, request.NamespacedName, c); err != nil {
		if apierrors.IsNotFound(err) {
			r.cleaned.Delete(request.Name)
			r.Targets.ReleaseName(request.Name) //nolint:contextcheck // it waits for nothing
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.statuses.IsStale(c) {
		return ctrl.Result{RequeueAfter: condition.CatchUp}, nil
	}
	if !c.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, c)
	}
	if err := finalizer.Ensure(ctx, r.Client, c, finalizerName); err != nil {
		return ctrl.Result{}, err
	}
	patchStatus := r.statuses.Patch(ctx, r.Client, r.Recorder, c, &c.Status.Conditions, &reterr)
	defer patchStatus()
	if c.Spec.InCluster {
		return r.reconcileHost(ctx, c)
	}
	return r.reconcileRegistered(ctx, c)
}

// reconcileHost reconciles a KubeVisionCluster with spec.inCluster. If there are several, only the oldest is valid.
func (r *Reconciler) reconcileHost(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) (ctrl.Result, error) {
	all, err := r.listClusters(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	after := ctrl.Result{RequeueAfter: wait.Jitter(probePeriod, probeJitter)}
	if inForce := clusters.HostRegistration(all); inForce != nil && inForce.UID != c.UID {
		c.Status.APIServer = r.HostURL
		reportConflict(c, r.Targets.DisputeHost(c, inForce))
		return after, nil
	}
	r.Targets.EndConflict(c.UID)
	if r.probeDue(c) {
		c.Status.APIServer, c.Status.ClusterID = r.HostURL, r.Targets.Host().ID
		if _, err := r.probe(ctx, c, r.Host); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "The API server of the host cluster does not respond")
		}
	}
	err = r.applyObjects(ctx, c, r.Targets.Host())
	r.reportRivals(c)
	r.summarize(c)
	c.Status.ObservedGeneration = c.Generation
	return after, err
}

// listClusters returns all KubeVisionClusters in the cache. The caller must not modify them.
func (r *Reconciler) listClusters(ctx context.Context) ([]kubevisionv1alpha1.KubeVisionCluster, error) {
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	return all.Items, nil
}

// probeDue returns true if the KubeVisionCluster has changed since the last probe, or the last probe is older than
// probePeriod.
func (r *Reconciler) probeDue(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	last := c.Status.LastProbeTime
	return last == nil || c.Status.ObservedGeneration != c.Generation || r.Clock.Since(last.Time) >= probePeriod
}

// applyObjects creates the built-in roles, the impersonating ServiceAccount and the ServiceAccount of the read cache on
// the cluster t. It reports the results in the conditions of c.
func (r *Reconciler) applyObjects(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, t *clustercache.Cluster,
) error {
	err := errors.Join(applyRoles(ctx, t), t.Impersonator.Ensure(ctx))
	status, reason := metav1.ConditionTrue, kubevisionv1alpha1.ReasonImpersonatorApplied
	message := "the impersonating account exists"
	if err != nil {
		status, reason, message = metav1.ConditionFalse, kubevisionv1alpha1.ReasonApplyFailed, err.Error()
	}
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterImpersonationCondition, status, reason,
		message)
	r.placeReader(ctx, c, t) // returns no error, because the cluster can be used without the read cache
	return err
}

// summarize sets the condition Ready. If one of the conditions Reachable, CredentialsValid and ImpersonationReady is
// False or Unknown, Ready is False with the reason and the message of the first such condition. If there is none, Ready
// is True.
func (r *Reconciler) summarize(c *kubevisionv1alpha1.KubeVisionCluster) {
	for _, t := range []string{
		kubevisionv1alpha1.ClusterReachableCondition, kubevisionv1alpha1.ClusterCredentialsCondition,
		kubevisionv1alpha1.ClusterImpersonationCondition,
	} {
		if found := meta.FindStatusCondition(c.Status.Conditions, t); found != nil &&
			found.Status != metav1.ConditionTrue {
			condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
				found.Reason, found.Message)
			return
		}
	}
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonReady,
		"the cluster can be used")
}
