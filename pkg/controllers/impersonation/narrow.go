// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/names"
)

// existingObjects contains the existing roles and bindings of the ServiceAccount on a cluster.
type existingObjects struct {
	clusterRoles        rbacv1.ClusterRoleList
	clusterRoleBindings rbacv1.ClusterRoleBindingList
	roles               rbacv1.RoleList
	roleBindings        rbacv1.RoleBindingList
}

func (k *AccountManager) read(ctx context.Context) (*existingObjects, error) {
	p := &existingObjects{}
	lists := []client.ObjectList{&p.clusterRoles, &p.clusterRoleBindings}
	if !k.Member { // On a member, ServiceAccounts of the host are impersonated as users.
		lists = append(lists, &p.roles, &p.roleBindings)
	}
	for _, list := range lists {
		err := k.Writer.Client.List(ctx, list, client.UnsafeDisableDeepCopy,
			client.MatchingLabels{names.ManagedByLabel: names.ManagedBy, names.ComponentLabel: component})
		if err != nil {
			return nil, fmt.Errorf("listing the impersonating account's roles: %w", err)
		}
	}
	return p, nil
}

// bindings returns the bindings, which must be deleted before the roles.
func (p *existingObjects) bindings() []client.Object {
	out := make([]client.Object, 0, len(p.clusterRoleBindings.Items)+len(p.roleBindings.Items))
	for i := range p.clusterRoleBindings.Items {
		out = append(out, &p.clusterRoleBindings.Items[i])
	}
	for i := range p.roleBindings.Items {
		out = append(out, &p.roleBindings.Items[i])
	}
	return out
}

func (p *existingObjects) all() []client.Object {
	out := p.bindings()
	for i := range p.clusterRoles.Items {
		out = append(out, &p.clusterRoles.Items[i])
	}
	for i := range p.roles.Items {
		out = append(out, &p.roles.Items[i])
	}
	return out
}

func (k *AccountManager) narrow(ctx context.Context, desired *roles) error {
	found, err := k.read(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for i := range found.clusterRoles.Items {
		r := &found.clusterRoles.Items[i]
		errs = append(errs, k.narrowRole(ctx, desired, r, r.Rules))
	}
	for i := range found.roles.Items {
		r := &found.roles.Items[i]
		errs = append(errs, k.narrowRole(ctx, desired, r, r.Rules))
	}
	for i := range found.clusterRoleBindings.Items {
		b := &found.clusterRoleBindings.Items[i]
		errs = append(errs, k.narrowObject(ctx, b, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metadata("", b.Name), RoleRef: roleRef("ClusterRole", b.Name), Subjects: subjects(),
		}))
	}
	for i := range found.roleBindings.Items {
		b := &found.roleBindings.Items[i]
		errs = append(errs, k.narrowObject(ctx, b, &rbacv1.RoleBinding{
			ObjectMeta: metadata(b.Namespace, b.Name), RoleRef: roleRef("Role", b.Name), Subjects: subjects(),
		}))
	}
	return errors.Join(errs...)
}

func (k *AccountManager) narrowRole(
	ctx context.Context, desired *roles, existing client.Object, rules []rbacv1.PolicyRule,
) error {
	kept := make([]rbacv1.PolicyRule, 0, len(rules))
	for _, r := range rules {
		if len(r.Resources) != 1 {
			continue
		}
		resource := r.Resources[0]
		// A name that moves to another role is not removed here. Otherwise, it could not be impersonated until the
		// other role exists.
		unwanted := func(name string) bool { return !desired.allows(resource, existing.GetNamespace(), name) }
		named := r.ResourceNames
		if slices.ContainsFunc(named, unwanted) {
			named = slices.DeleteFunc(slices.Clone(named), unwanted)
		}
		if len(named) > 0 {
			kept = append(kept, rule(resource, named))
		}
	}
	meta := metadata(existing.GetNamespace(), existing.GetName())
	if meta.Namespace == "" {
		return k.narrowObject(ctx, existing, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: kept})
	}
	return k.narrowObject(ctx, existing, &rbacv1.Role{ObjectMeta: meta, Rules: kept})
}

func (k *AccountManager) narrowObject(ctx context.Context, existing, desired client.Object) error {
	_, err := k.Writer.Narrow(ctx, existing, desired)
	return err
}

// prune deletes the bindings and roles that are not desired.
func (k *AccountManager) prune(ctx context.Context, desired *roles) error {
	found, err := k.read(ctx)
	if err != nil {
		return err
	}
	wanted := map[types.NamespacedName]bool{}
	for _, s := range slices.Concat(desired.cluster, desired.accounts) {
		wanted[types.NamespacedName{Namespace: s.namespace, Name: s.roleName()}] = true
	}
	var errs []error
	for _, o := range found.all() {
		if !wanted[client.ObjectKeyFromObject(o)] {
			errs = append(errs, k.Writer.Delete(ctx, o))
		}
	}
	return errors.Join(errs...)
}

// removeBindings deletes all bindings, which revokes all rights of the ServiceAccount.
func (k *AccountManager) removeBindings(ctx context.Context) error {
	found, err := k.read(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range found.bindings() {
		errs = append(errs, k.Writer.Delete(ctx, o))
	}
	return errors.Join(errs...)
}
