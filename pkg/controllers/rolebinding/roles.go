// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
)

// findRoles records in g which ClusterRoles of the binding exist. For a built-in role of KubeVision, it accepts only
// ClusterRoles that KubeVision has created. A ClusterRole that another client has created with the same name could
// grant other rights. As in Kubernetes, a binding may refer to a custom role that does not exist yet.
func findRoles(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, g *grant) error {
	if _, ok := bindings.BuiltInRole(b.Spec.RoleRef); ok {
		g.builtInRoleExists, g.ruleless = map[string]bool{}, map[string]bool{}
		var errs []error
		for _, name := range bindings.ClusterRoles(b.Spec.RoleRef) {
			found, err := g.target.Writer.Find(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}})
			if errors.Is(err, apply.ErrForeign) {
				errs = append(errs, err)
				continue // g.builtInRoleExists does not contain the name, so that no object binds the ClusterRole
			}
			if err != nil {
				errs = append(errs, err)
			}
			g.builtInRoleExists[name] = found
			if found {
				g.ruleless[name], err = lacksRules(ctx, g, name)
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	err := g.target.Metadata.ClusterRoles.Get(ctx, types.NamespacedName{Name: b.Spec.RoleRef.Name},
		clusterRoleMetadata())
	if apierrors.IsNotFound(err) {
		g.roleMissing = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading cluster role %s: %w", b.Spec.RoleRef.Name, err)
	}
	return nil
}

// lacksRules returns true if the ClusterRole has an aggregation rule, but Kubernetes has not aggregated any rules into
// it yet. It returns false if the cache does not contain the role.
func lacksRules(ctx context.Context, g *grant, name string) (bool, error) {
	role := &rbacv1.ClusterRole{}
	err := g.target.Writer.Client.Get(ctx, types.NamespacedName{Name: name}, role, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading cluster role %s: %w", name, err)
	}
	return isRuleless(role), nil
}

func isRuleless(role *rbacv1.ClusterRole) bool {
	return role.AggregationRule != nil && len(role.Rules) == 0
}

// bindable returns true if KubeVision may bind the ClusterRole with the given name. It returns false if a built-in role
// has this name, but another client has created the ClusterRole. The ClusterRole of another client could grant any
// rights.
func (g *grant) bindable(role string) bool {
	_, known := g.builtInRoleExists[role]
	return g.builtInRoleExists == nil || known
}

// ready returns true if role is a custom role, or a built-in role whose ClusterRole exists.
func (g *grant) ready(role string) bool {
	return g.builtInRoleExists == nil || g.builtInRoleExists[role]
}

// unready returns the names of the built-in ClusterRoles that do not exist yet, although planned RoleBindings or
// ClusterRoleBindings refer to them.
func (g *grant) unready() []string {
	var out []string
	for _, o := range g.objects {
		if role := boundRole(o); g.bindable(role) && !g.ready(role) && !slices.Contains(out, role) {
			out = append(out, role)
		}
	}
	return out
}

// withoutRules returns the names of the ClusterRoles that have no rules yet.
func (g *grant) withoutRules() []string {
	var out []string
	for _, o := range g.objects {
		if role := boundRole(o); g.ruleless[role] && !slices.Contains(out, role) {
			out = append(out, role)
		}
	}
	return out
}

func boundRole(o client.Object) string {
	switch o := o.(type) {
	case *rbacv1.ClusterRoleBinding:
		return o.RoleRef.Name
	case *rbacv1.RoleBinding:
		return o.RoleRef.Name
	default:
		return ""
	}
}
