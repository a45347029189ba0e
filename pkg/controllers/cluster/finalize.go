// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// abandonAfter is the time after which the finalizer is removed from a KubeVisionCluster although KubeVision's objects
// on the cluster could not be deleted.
const abandonAfter = 10 * time.Minute

// errUnconfirmed is returned if the identity of the cluster cannot be confirmed. Nothing is then deleted on the
// cluster.
var errUnconfirmed = errors.New("the kubeconfig is not confirmed to connect to the registered cluster")

// finalize deletes KubeVision's objects on the cluster of a deleted KubeVisionCluster, and then removes the finalizer.
// If the deletion fails, finalize tries again later. After abandonAfter, it removes the finalizer although objects
// remain.
func (r *Reconciler) finalize(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) (ctrl.Result, error) {
	if uid, _ := r.cleaned.Load(c.Name); uid == c.UID { // the object in the cache is older than the cleanup
		return ctrl.Result{}, nil
	}
	r.Targets.MarkExamined(c.UID) // no controller waits for the connection of a deleted cluster
	var left error
	err := finalizer.Finish(ctx, r.Client, c, finalizerName, func(ctx context.Context) error {
		left = r.removeObjects(ctx, c)
		if left == nil || (!r.isAbandoned(c) && !errors.Is(left, errUnconfirmed)) {
			return left
		}
		// If the identity of the cluster is not confirmed, nothing may be deleted there. Therefore, the finalizer is
		// removed at the first attempt.
		r.Recorder.Eventf(c, nil, corev1.EventTypeWarning, kubevisionv1alpha1.ReasonLeftBehind, "Delete",
			"the cluster could not be cleaned up: delete the objects with the label %s=%s there (%s)",
			names.ManagedByLabel, names.ManagedBy, condition.Truncate(left.Error()))
		return nil
	})
	if left != nil && err != nil {
		ctrl.LoggerFrom(ctx).Info("The cluster cannot be cleaned up yet", "reason", err.Error())
		return ctrl.Result{RequeueAfter: r.retries.next(c.UID, clusters.Revision{}, r.Clock.Now())}, r.reportLeft(ctx,
			c, left)
	}
	if err == nil {
		r.cleaned.Store(c.Name, c.UID)
		r.retries.forget(c.UID)
		r.Targets.Release(c.UID, c.Name) //nolint:contextcheck // it waits for nothing
	}
	return ctrl.Result{}, err
}

func (r *Reconciler) isAbandoned(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	_, asked := c.Annotations[names.AbandonAnnotation]
	return asked || r.Clock.Since(c.DeletionTimestamp.Time) >= abandonAfter
}

func (r *Reconciler) reportLeft(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, left error,
) (reterr error) {
	patchStatus := r.statuses.Patch(ctx, r.Client, r.Recorder, c, &c.Status.Conditions, &reterr)
	defer patchStatus()
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonCleanupFailed,
		fmt.Sprintf("the objects that KubeVision has created on the cluster cannot be removed: %v; annotate the "+
			"cluster with %s to leave them there", left, names.AbandonAnnotation))
	return nil
}

// removeObjects deletes KubeVision's objects on the cluster, unless another KubeVisionCluster needs them.
func (r *Reconciler) removeObjects(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) error {
	all, err := r.listClusters(ctx)
	if err != nil {
		return err
	}
	if c.Spec.InCluster {
		if clusters.HostRegistration(all) != nil {
			return nil
		}
		host := r.Targets.Host()
		return errors.Join(removeRoles(ctx, host), removeReader(ctx, host), host.Impersonator.Remove(ctx))
	}
	if c.Status.ClusterID == "" || c.Status.ClusterID == r.Targets.Host().ID || r.isShared(c, all) {
		return nil
	}
	r.Targets.Retire(c) //nolint:contextcheck // it waits for nothing
	if t, err := r.Targets.Retired(c); err == nil && r.Targets.IsConfirmed(c, c.Status.ClusterID) {
		return deleteOwnObjects(ctx, t)
	}
	secret, k, err := r.readKubeconfig(ctx, c)
	if err != nil {
		return err
	}
	if err := r.connect(ctx, c, clusters.RevisionOf(c, secret), k); err != nil {
		if conflict, ok := errors.AsType[*clustercache.ConflictError](err); ok {
			return fmt.Errorf("%w: %w", errUnconfirmed, conflict)
		}
		return err
	}
	t, err := r.Targets.Retired(c)
	if err != nil {
		return err
	}
	return deleteOwnObjects(ctx, t)
}

// isShared returns true if another connected KubeVisionCluster is proven to be the same Kubernetes cluster as c.
func (r *Reconciler) isShared(
	c *kubevisionv1alpha1.KubeVisionCluster, all []kubevisionv1alpha1.KubeVisionCluster,
) bool {
	view := r.Targets.View()
	for i := range all {
		other := &all[i]
		if other.UID == c.UID || !other.DeletionTimestamp.IsZero() || other.Spec.InCluster {
			continue
		}
		// The view contains only confirmed identities. An equal status.clusterID alone is no proof, because a hostile
		// API server can return the ID of another cluster.
		if t, err := view.Get(other); err == nil && t.ID == c.Status.ClusterID {
			return true
		}
	}
	return false
}

// aggregates returns 1 if the ClusterRole has an aggregation rule, and 0 if not. It is a sort key.
func aggregates(role *rbacv1.ClusterRole) int {
	if role.AggregationRule != nil {
		return 1
	}
	return 0
}

// deleteOwnObjects deletes all objects with KubeVision's label on the cluster. The order is: bindings, ClusterRoles
// with an aggregation rule, other ClusterRoles, and ServiceAccounts.
func deleteOwnObjects(ctx context.Context, t *clustercache.Cluster) error {
	var errs []error
	for _, list := range []client.ObjectList{
		&rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleBindingList{}, &rbacv1.ClusterRoleList{},
		&corev1.ServiceAccountList{},
	} {
		selection := []client.ListOption{client.MatchingLabels{names.ManagedByLabel: names.ManagedBy}}
		if _, ok := list.(*corev1.ServiceAccountList); ok {
			selection = append(selection, client.InNamespace(names.Namespace))
		}
		if err := t.Writer.Live.List(ctx, list, selection...); err != nil {
			return fmt.Errorf("listing the objects to remove: %w", err)
		}
		if roles, ok := list.(*rbacv1.ClusterRoleList); ok {
			// The aggregation controller of Kubernetes applies ClusterRoles with an aggregation rule whenever another
			// ClusterRole is deleted. If they were not deleted first, the controller could create them again.
			slices.SortStableFunc(roles.Items, func(a, b rbacv1.ClusterRole) int {
				return cmp.Compare(aggregates(&b), aggregates(&a))
			})
		}
		err := meta.EachListItem(list, func(o runtime.Object) error {
			if object, ok := o.(client.Object); ok {
				errs = append(errs, t.Writer.Delete(ctx, object))
			}
			return nil
		})
		errs = append(errs, err)
	}
	return errors.Join(append(errs, t.Impersonator.Remove(ctx))...)
}
