// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package objectquota limits the number and the size of users, clusters and role bindings. Kubernetes has no quota
// for cluster-scoped objects, and CEL cannot count. The controller counts the objects and writes the exhausted limits
// to a ConfigMap; the admission policy in config/admission uses it as its parameter.
package objectquota

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/predicates"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// pause is the time for which changes are collected before the objects are counted.
	pause = 100 * time.Millisecond
	// period is the time after which the count is written without a change. The policy rejects requests if the count
	// is older than five minutes, so that nobody can fill etcd while no controller counts.
	period = time.Minute
)

// Reconciler maintains the ConfigMap.
type Reconciler struct {
	Client client.Client
	// Live reads the ConfigMap from the API server, since no cache holds it.
	Live   client.Reader
	Clock  clock.PassiveClock
	Limits Limits

	// The fields below are used by the only worker.
	sizes   sizes
	written map[string]string
	at      time.Time
}

func configMapKey() types.NamespacedName {
	return types.NamespacedName{Namespace: names.Namespace, Name: names.ObjectQuotaConfigMap}
}

// SetupWithManager watches the kinds that are counted.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Live == nil || r.Clock == nil {
		return errors.New("the object quota controller lacks a dependency")
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("objectquota").
		Watches(&kubevisionv1alpha1.KubeVisionUser{}, countSoon()).
		Watches(&kubevisionv1alpha1.KubeVisionCluster{}, countSoon()).
		Watches(&kubevisionv1alpha1.KubeVisionRoleBinding{}, countSoon()).
		WatchesRawSource(predicates.OnStart(configMapKey())).
		Complete(r)
}

// countSoon returns a handler that enqueues one count for many changes.
func countSoon() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(q queue) { q.AddAfter(reconcile.Request{NamespacedName: configMapKey()}, pause) }
	return handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { add(q) },
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q queue) { add(q) },
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { add(q) },
	}
}

// Reconcile counts the objects, and writes the ConfigMap if its content has changed or is a minute old.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	now, err := r.count(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	refusals, at := now.refusals(r.Limits), r.Clock.Now()
	next := period - at.Sub(r.at)
	if next > 0 && maps.Equal(refusals, r.written) {
		return ctrl.Result{RequeueAfter: next}, nil
	}
	data := maps.Clone(refusals)
	data[countedKey], data[objectsKey] = at.UTC().Format(time.RFC3339), now.String()
	if err := r.write(ctx, data); err != nil {
		return ctrl.Result{}, err
	}
	for key, why := range refusals {
		if r.written[key] == "" {
			ctrl.LoggerFrom(ctx).Info("Further objects are rejected", "limit", key, "why", why)
		}
	}
	r.written, r.at = refusals, at
	return ctrl.Result{RequeueAfter: period}, nil
}

func (r *Reconciler) write(ctx context.Context, data map[string]string) error {
	existing := &corev1.ConfigMap{}
	err := r.Live.Get(ctx, configMapKey(), existing)
	if apierrors.IsNotFound(err) {
		made := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: names.Namespace, Name: names.ObjectQuotaConfigMap,
				Labels: map[string]string{names.ManagedByLabel: names.ManagedBy},
			},
			Data: data,
		}
		if err := r.Client.Create(ctx, made); err != nil {
			return fmt.Errorf("creating config map %s: %w", names.ObjectQuotaConfigMap, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading config map %s: %w", names.ObjectQuotaConfigMap, err)
	}
	existing.Data, existing.BinaryData = data, nil
	if err := r.Client.Update(ctx, existing); err != nil {
		return fmt.Errorf("updating config map %s: %w", names.ObjectQuotaConfigMap, err)
	}
	return nil
}

// count counts the objects in the manager's cache.
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
		bytes, err := r.sizes.add(next, o)
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
