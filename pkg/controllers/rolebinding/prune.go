// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// errRevocation is wrapped by the errors of revocations that have failed.
var errRevocation = errors.New("rights that the binding no longer grants could not be revoked")

// revokeOnCluster revokes rights on the cluster t: the existing rights of the binding that are not in the plan. The
// grant g is nil if the binding grants nothing on this cluster. Each error wraps errRevocation.
func (r *Reconciler) revokeOnCluster(
	ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan, t *clustercache.Cluster, g *grant,
) error {
	existing, err := r.existing(ctx, b, t)
	if err != nil {
		return fmt.Errorf("%w: %w", errRevocation, err)
	}
	wanted := wantedObjects(p, g, t == r.Targets.Host())
	excess := map[objectKey]client.Object{}
	desired := func(o client.Object) client.Object {
		d := wanted[keyOf(o)]
		if d == nil && g != nil && g.namespacesErr != nil {
			d = g.desiredWithoutNamespaces(b, o)
		}
		return d
	}
	for key, o := range existing {
		if apply.Narrows(o, desired(o)) {
			excess[key] = o
		}
	}
	if len(excess) > 0 {
		end := r.revoking.begin(t.ID)
		defer end()
	}
	inCluster, inNamespaces := byScope(excess)
	var mu sync.Mutex
	failed := newFailures()
	narrow := func(ctx context.Context, o client.Object) {
		left, err := t.Writer.Narrow(ctx, o, desired(o))
		failed.add(err) // the rights of the other objects are revoked nevertheless
		mu.Lock()
		defer mu.Unlock()
		if left == nil {
			delete(existing, keyOf(o))
		} else {
			existing[keyOf(o)] = left
		}
	}
	for _, o := range inCluster { // first, because these objects grant rights in all namespaces
		narrow(ctx, o)
	}
	failed.add(fanout.Each(ctx, len(inNamespaces), parallelDeletes, func(ctx context.Context, i int) error {
		narrow(ctx, inNamespaces[i])
		return nil
	}))
	failed.add(t.Impersonator.Narrow(ctx))
	if err := failed.join(); err != nil {
		return fmt.Errorf("%w: %w", errRevocation, err)
	}
	r.budgets.setReserved(t, b, g != nil && p.mayCreate(g), existing)
	if g != nil {
		g.existing = existing
	}
	return nil
}

// wantedObjects returns the planned objects of one cluster. It omits a RoleBinding or ClusterRoleBinding if another
// client has created the ClusterRole to which it refers. onHost is true for the host cluster.
func wantedObjects(p *plan, g *grant, onHost bool) map[objectKey]client.Object {
	wanted := map[objectKey]client.Object{}
	if onHost {
		for _, o := range p.useObjects {
			wanted[keyOf(o)] = o
		}
	}
	if g != nil {
		for _, o := range g.objects {
			if g.bindable(boundRole(o)) {
				wanted[keyOf(o)] = o
			}
		}
	}
	return wanted
}

// desiredWithoutNamespaces returns the desired state of the existing object o while the namespaces of the cluster are
// unknown. It returns nil if o must be deleted.
func (g *grant) desiredWithoutNamespaces(b *kubevisionv1alpha1.KubeVisionRoleBinding, o client.Object) client.Object {
	existing, ok := o.(*rbacv1.RoleBinding)
	if !ok || (b.Spec.Namespaces == nil && !bindings.SparesProtected(b.Spec.RoleRef)) {
		return nil // the object is not a RoleBinding, or the binding needs no RoleBindings
	}
	protected := bindings.IsProtected(existing.Namespace, nil) ||
		existing.RoleRef.Name == bindings.NamespaceRole(b.Spec.RoleRef, true)
	role := bindings.NamespaceRole(b.Spec.RoleRef, protected)
	if !g.bindable(role) {
		return nil
	}
	// The binding may still select the namespace, so its RoleBinding is kept.
	return roleBinding(b, existing.Namespace, role, g.subjects)
}

// existing returns the objects with the label of the binding. After a change of the spec, it reads them from the API
// server, because the cache may not contain new objects yet. If the spec has not changed, it reads them from the cache.
func (r *Reconciler) existing(
	ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, t *clustercache.Cluster,
) (map[objectKey]client.Object, error) {
	if b.Status.ObservedGeneration != b.Generation && b.Status.ObservedGeneration != 0 {
		return listMade(ctx, t.Writer.Live, labelled(b.Name))
	}
	return listMade(ctx, t.Writer.Client, indexed(b.Name))
}

// removeAll deletes all objects of a binding from one cluster. It finds them by label and by name, so that it also
// finds objects whose label was removed.
func (r *Reconciler) removeAll(ctx context.Context, t *clustercache.Cluster, binding string) error {
	found := map[objectKey]client.Object{}
	for _, selection := range []client.ListOption{
		labelled(binding),
		client.MatchingFields{"metadata.name": names.GrantedRole(binding)},
		client.MatchingFields{"metadata.name": names.ClusterUse(binding)},
	} {
		objects, err := listMade(ctx, t.Writer.Live, selection)
		if err != nil {
			return err
		}
		maps.Copy(found, objects)
	}
	if len(found) > 0 {
		end := r.revoking.begin(t.ID)
		defer end()
	}
	inCluster, inNamespaces := byScope(found)
	failed := newFailures()
	for _, o := range inCluster {
		failed.add(t.Writer.Delete(ctx, o))
	}
	failed.add(fanout.Each(ctx, len(inNamespaces), parallelDeletes, func(ctx context.Context, i int) error {
		failed.add(t.Writer.Delete(ctx, inNamespaces[i]))
		return nil
	}))
	return failed.join()
}

func byScope(objects map[objectKey]client.Object) (inCluster, inNamespaces []client.Object) {
	for _, o := range objects {
		if o.GetNamespace() == "" {
			inCluster = append(inCluster, o)
		} else {
			inNamespaces = append(inNamespaces, o)
		}
	}
	slices.SortFunc(inCluster, func(a, b client.Object) int { return cmp.Compare(scopeOrder(a), scopeOrder(b)) })
	return inCluster, inNamespaces
}

func scopeOrder(o client.Object) int {
	if _, ok := o.(*rbacv1.ClusterRoleBinding); ok {
		return 0 // a ClusterRoleBinding comes before the ClusterRole to which it refers
	}
	return 1
}

func labelled(binding string) client.ListOption {
	return client.MatchingLabels{names.RoleBindingLabel: binding, names.ManagedByLabel: names.ManagedBy}
}

func indexed(binding string) client.ListOption {
	return client.MatchingFields{apply.BindingIndex: binding}
}

// listMade returns the RBAC objects that match the list option. The caller must not modify these objects.
func listMade(
	ctx context.Context, reader client.Reader, selection client.ListOption,
) (map[objectKey]client.Object, error) {
	var clusterRoles rbacv1.ClusterRoleList
	var clusterRoleBindings rbacv1.ClusterRoleBindingList
	var roleBindings rbacv1.RoleBindingList
	for _, list := range []client.ObjectList{&clusterRoles, &clusterRoleBindings, &roleBindings} {
		if err := reader.List(ctx, list, selection, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing the objects of the binding: %w", err)
		}
	}
	found := make(map[objectKey]client.Object,
		len(roleBindings.Items)+len(clusterRoleBindings.Items)+len(clusterRoles.Items))
	for i := range clusterRoleBindings.Items {
		found[keyOf(&clusterRoleBindings.Items[i])] = &clusterRoleBindings.Items[i]
	}
	for i := range roleBindings.Items {
		found[keyOf(&roleBindings.Items[i])] = &roleBindings.Items[i]
	}
	for i := range clusterRoles.Items {
		found[keyOf(&clusterRoles.Items[i])] = &clusterRoles.Items[i]
	}
	return found, nil
}
