// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	readerComponent = "reader"
	// viewRole is the ClusterRole of Kubernetes for reading namespaced objects except Secrets. It also contains the
	// rules of ClusterRoles with the label rbac.authorization.k8s.io/aggregate-to-view, which operators add for custom
	// resources.
	viewRole = "view"
	// readerViewBinding is the name of the ClusterRoleBinding that grants the ClusterRole view to the read cache.
	readerViewBinding = names.Reader + "-" + viewRole
)

// readerAccount returns the ServiceAccount of the read cache.
func readerAccount() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: readerMetadata(names.Namespace, names.Reader)}
}

// readerRole returns a ClusterRole that allows to read the cluster-scoped resources that dashboards show, and RBAC
// objects. RBAC objects are watched because cached access reviews become invalid when an RBAC object changes. The watch
// needs only the metadata of RBAC objects, but RBAC cannot grant access to metadata alone.
func readerRole() *rbacv1.ClusterRole {
	rule := func(group string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: readVerbs()}
	}
	return &rbacv1.ClusterRole{ObjectMeta: readerMetadata("", names.Reader), Rules: []rbacv1.PolicyRule{
		rule("", "nodes", "namespaces", "persistentvolumes"),
		rule("storage.k8s.io", "storageclasses"),
		rule("networking.k8s.io", "ingressclasses"),
		rule("scheduling.k8s.io", "priorityclasses"),
		rule("apiextensions.k8s.io", "customresourcedefinitions"),
		rule(rbacv1.GroupName, "roles", "rolebindings", "clusterroles", "clusterrolebindings"),
	}}
}

func readerBinding(name, role string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: readerMetadata("", name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: names.Namespace, Name: names.Reader}},
	}
}

func readerMetadata(namespace, name string) metav1.ObjectMeta {
	labels := map[string]string{names.ComponentLabel: readerComponent}
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}
}

// ensureReader applies the ServiceAccount of the read cache and its rights. It grants nothing if another client has
// created a ServiceAccount with this name, because this client may have tokens of the ServiceAccount.
func ensureReader(ctx context.Context, t *clustercache.Cluster) error {
	if err := t.Writer.Apply(ctx, readerAccount()); err != nil {
		if errors.Is(err, apply.ErrForeign) {
			return errors.Join(err, removeReaderBindings(ctx, t))
		}
		return err
	}
	if err := t.Writer.Apply(ctx, readerRole()); err != nil {
		if errors.Is(err, apply.ErrForeign) {
			return errors.Join(err, t.Writer.Remove(ctx, readerBinding(names.Reader, names.Reader)))
		}
		return err
	}
	return errors.Join(
		t.Writer.Apply(ctx, readerBinding(names.Reader, names.Reader)),
		t.Writer.Apply(ctx, readerBinding(readerViewBinding, viewRole)))
}

// removeReader deletes the bindings, the role and the ServiceAccount of the read cache.
func removeReader(ctx context.Context, t *clustercache.Cluster) error {
	return errors.Join(
		removeReaderBindings(ctx, t), t.Writer.Remove(ctx, readerRole()), t.Writer.Remove(ctx, readerAccount()))
}

func removeReaderBindings(ctx context.Context, t *clustercache.Cluster) error {
	return errors.Join(
		t.Writer.Remove(ctx, readerBinding(readerViewBinding, viewRole)),
		t.Writer.Remove(ctx, readerBinding(names.Reader, names.Reader)))
}

// placeReader creates the ServiceAccount of the read cache or, if the cache is disabled, deletes it. It sets the
// condition ReadCache. An error does not affect the condition Ready, because the cluster can be used without the cache.
func (r *Reconciler) placeReader(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, t *clustercache.Cluster,
) {
	set := func(status metav1.ConditionStatus, reason, message string) {
		condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterReadCacheCondition,
			status, reason, message)
	}
	disabledBy, err := r.readCacheDisabledBy(ctx, c, t)
	switch {
	case err != nil:
	case disabledBy != "":
		err = removeReader(ctx, t)
		set(metav1.ConditionFalse, kubevisionv1alpha1.ReasonDisabled,
			"the read cache is not used: spec.readCache of "+disabledBy+" is Disabled")
	default:
		err = ensureReader(ctx, t)
		set(metav1.ConditionTrue, kubevisionv1alpha1.ReasonReaderApplied, "the account of the read cache exists")
	}
	if err == nil {
		return
	}
	ctrl.LoggerFrom(ctx).Info("The account of the read cache cannot be reconciled", "reason", err.Error())
	reason := kubevisionv1alpha1.ReasonApplyFailed
	if apierrors.IsForbidden(err) {
		reason = kubevisionv1alpha1.ReasonForbidden
	}
	set(metav1.ConditionFalse, reason, "the read cache is not used: "+err.Error())
}

// readCacheDisabledBy returns the name of a KubeVisionCluster that disables the read cache, or an empty string. The
// KubeVisionCluster is c itself, or another one that is proven to be the same Kubernetes cluster.
func (r *Reconciler) readCacheDisabledBy(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, t *clustercache.Cluster,
) (string, error) {
	if c.Spec.ReadCache == kubevisionv1alpha1.ReadCacheDisabled {
		return c.Name, nil
	}
	all, err := r.listClusters(ctx)
	if err != nil {
		return "", err
	}
	view := r.Targets.View()
	for i := range all {
		other := &all[i]
		disables := other.Spec.ReadCache == kubevisionv1alpha1.ReadCacheDisabled && other.DeletionTimestamp.IsZero()
		if other.UID == c.UID || !disables {
			continue
		}
		if found, err := view.Get(other); err == nil && found.ID == t.ID {
			return other.Name, nil
		}
	}
	return "", nil
}

func readCacheChanged() predicate.Predicate {
	// Each of several KubeVisionClusters with the same status.clusterID can disable the read cache for all of them.
	disables := func(o client.Object) bool {
		c, ok := o.(*kubevisionv1alpha1.KubeVisionCluster)
		return ok && c.Spec.ReadCache == kubevisionv1alpha1.ReadCacheDisabled && c.DeletionTimestamp.IsZero()
	}
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, // the cluster of a new registration is unknown
		DeleteFunc: func(e event.DeleteEvent) bool { return disables(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*kubevisionv1alpha1.KubeVisionCluster)
			after, ok2 := e.ObjectNew.(*kubevisionv1alpha1.KubeVisionCluster)
			return !ok || !ok2 || disables(before) != disables(after) ||
				(disables(after) && before.Status.ClusterID != after.Status.ClusterID)
		},
	}
}

// requestsForTwins returns requests for the other KubeVisionClusters with the same status.clusterID.
func (r *Reconciler) requestsForTwins(ctx context.Context, o client.Object) []reconcile.Request {
	changed, ok := o.(*kubevisionv1alpha1.KubeVisionCluster)
	if !ok || changed.Status.ClusterID == "" {
		return nil
	}
	return r.requestsFor(ctx, func(c *kubevisionv1alpha1.KubeVisionCluster) bool {
		return c.UID != changed.UID && c.Status.ClusterID == changed.Status.ClusterID
	})
}
