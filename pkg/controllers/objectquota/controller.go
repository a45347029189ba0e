// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package objectquota limits the number and total size of KubeVisionUsers, KubeVisionClusters and
// KubeVisionRoleBindings. It writes the current number and size to a KubeVisionPolicyParameter, which an admission
// policy of the host cluster compares with the limits. ResourceQuotas do not apply to cluster-scoped objects, and CEL
// expressions cannot count objects.
package objectquota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/predicates"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// pause is the time for which changes are collected before the objects are counted.
	pause           = 100 * time.Millisecond
	rewriteInterval = time.Minute
)

// Reconciler maintains the KubeVisionPolicyParameter with the name names.ObjectQuotaParameter.
type Reconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
	Limits Limits

	// sizes contains the size of each object at the time of the last count. It has no lock, because there is only one
	// worker.
	sizes sizes
}

func parameterKey() types.NamespacedName {
	return types.NamespacedName{Name: names.ObjectQuotaParameter}
}

// SetupWithManager adds watches of the KubeVisionPolicyParameter and of the counted kinds.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Clock == nil {
		return errors.New("the object quota controller lacks a dependency")
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("objectquota").
		Watches(&kubevisionv1alpha1.KubeVisionPolicyParameter{}, countSoon(),
			builder.WithPredicates(predicates.Named(parameterKey()))).
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, countSoon()).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, countSoon()).
		Watches(&kubevisionv1alpha1.KubeVisionRoleBinding{}, countSoon()).
		WatchesRawSource(predicates.OnStart(parameterKey())).
		Complete(r)
}

// countSoon returns an event handler that enqueues a request after a pause. Events during the pause cause only one
// request.
func countSoon() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(q queue) { q.AddAfter(reconcile.Request{NamespacedName: parameterKey()}, pause) }
	return handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { add(q) },
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q queue) { add(q) },
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { add(q) },
	}
}

// Reconcile counts the objects. It writes the counts to the KubeVisionPolicyParameter when a limit is reached or is no
// longer reached. It also writes them once per minute, because the policy rejects new objects if the counts are old.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	now, err := r.count(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	var before []verdict
	at := r.Clock.Now()
	wanted := now.quotaParameter(r.Limits, at)
	existing := &kubevisionv1alpha1.KubeVisionPolicyParameter{}
	err = r.Client.Get(ctx, parameterKey(), existing)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading the parameter %s: %w", names.ObjectQuotaParameter, err)
	}
	if last := existing.Spec.ObjectQuota; last != nil {
		before = verdicts(last)
		age := at.Sub(last.CountTime.Time) // negative if the clock of another replica was ahead
		// The admission policy rejects new objects if the counts are older than five minutes, so that nobody can fill
		// etcd while the controller does not run.
		if age >= 0 && age < rewriteInterval && slices.Equal(before, verdicts(wanted)) {
			return ctrl.Result{RequeueAfter: rewriteInterval - age}, nil
		}
	}
	spec := kubevisionv1alpha1.KubeVisionPolicyParameterSpec{ObjectQuota: wanted}
	if err := apply.PolicyParameter(ctx, r.Client, names.ObjectQuotaParameter, spec); err != nil {
		return ctrl.Result{}, err
	}
	for _, v := range verdicts(wanted) {
		if v.reached && !slices.Contains(before, v) {
			ctrl.LoggerFrom(ctx).Info("Rejecting further objects, because the limit is reached",
				"flag", v.flag, "limit", v.limit)
		}
	}
	return ctrl.Result{RequeueAfter: rewriteInterval}, nil
}

// count returns the number of objects of each counted kind in the cache: KubeVisionUser, KubeVisionCluster and
// KubeVisionRoleBinding. It also returns the total size of all these objects in bytes.
func (r *Reconciler) count(ctx context.Context) (counts, error) {
	var (
		users    kubevisionv1alpha1.KubeVisionUserList
		clusters kubevisionv1alpha1.KubeVisionClusterList
		bindings kubevisionv1alpha1.KubeVisionRoleBindingList
	)
	for _, list := range []client.ObjectList{&users, &clusters, &bindings} {
		if err := r.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return counts{}, fmt.Errorf("listing the counted objects: %w", err)
		}
	}
	out := counts{users: len(users.Items), clusters: len(clusters.Items), roleBindings: len(bindings.Items)}
	next := make(sizes, out.users+out.clusters+out.roleBindings)
	add := func(o client.Object) error {
		bytes, err := r.sizes.measure(o, next)
		out.bytes += bytes
		return err
	}
	var errs []error
	for i := range users.Items {
		errs = append(errs, add(&users.Items[i]))
	}
	for i := range clusters.Items {
		errs = append(errs, add(&clusters.Items[i]))
	}
	for i := range bindings.Items {
		errs = append(errs, add(&bindings.Items[i]))
	}
	r.sizes = next
	return out, errors.Join(errs...)
}
