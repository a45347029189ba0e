// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"errors"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/target"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// prune removes what is labelled with the binding's name and not wanted any more. After a change of the spec it asks the cluster: what was
// made a moment ago must not be overlooked. Otherwise the cache knows.
func (r *Reconciler) prune(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, t *target.Cluster, wanted map[objectKey]bool) error {
	var reader client.Reader = t.Writer.Client
	if b.Status.ObservedGeneration != b.Generation && b.Status.ObservedGeneration != 0 {
		reader = t.Writer.Live
	}
	found, err := made(ctx, reader, labelled(b.Name))
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range found {
		if !wanted[keyOf(o)] {
			errs = append(errs, t.Writer.Delete(ctx, o))
		}
	}
	return errors.Join(errs...)
}

// removeAll removes everything that was made for the binding. It looks for labels and for names, since somebody may have taken the labels
// off: access must end all the same.
func removeAll(ctx context.Context, t *target.Cluster, binding string) error {
	found := map[objectKey]client.Object{}
	for _, selection := range []client.ListOption{
		labelled(binding),
		client.MatchingFields{"metadata.name": names.GrantedRole(binding)},
		client.MatchingFields{"metadata.name": names.ClusterUse(binding)},
	} {
		objects, err := made(ctx, t.Writer.Live, selection)
		if err != nil {
			return err
		}
		for _, o := range objects {
			found[keyOf(o)] = o
		}
	}
	var errs []error
	for _, o := range found {
		errs = append(errs, t.Writer.Delete(ctx, o))
	}
	return errors.Join(errs...)
}

func labelled(binding string) client.ListOption {
	return client.MatchingLabels{names.RoleBindingLabel: binding, names.ManagedByLabel: names.ManagedBy}
}

func made(ctx context.Context, reader client.Reader, selection client.ListOption) ([]client.Object, error) {
	var clusterRoles rbacv1.ClusterRoleList
	var clusterRoleBindings rbacv1.ClusterRoleBindingList
	var roleBindings rbacv1.RoleBindingList
	for _, list := range []client.ObjectList{&clusterRoles, &clusterRoleBindings, &roleBindings} {
		if err := reader.List(ctx, list, selection); err != nil {
			return nil, fmt.Errorf("listing what was made for the binding: %w", err)
		}
	}
	var found []client.Object
	for i := range clusterRoleBindings.Items {
		found = append(found, &clusterRoleBindings.Items[i])
	}
	for i := range roleBindings.Items {
		found = append(found, &roleBindings.Items[i])
	}
	for i := range clusterRoles.Items {
		found = append(found, &clusterRoles.Items[i])
	}
	return found, nil
}
