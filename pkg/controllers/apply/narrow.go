// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Matches returns true if Apply would not change the existing object.
func Matches(existing, desired client.Object) bool {
	setLabel(desired)
	return matches(existing, desired)
}

// Narrow revokes those rights of the existing object that the desired object does not grant. It grants no rights. It
// returns the resulting object, or nil if it has deleted the object. It does nothing if the existing object has another
// owner. Narrow deletes the object in these cases:
//
//   - There is no desired object.
//   - The objects are bindings that have no common subject or refer to different roles.
//   - The existing object is a ClusterRole with an aggregation rule, and the desired ClusterRole has none.
func (w *Writer) Narrow(ctx context.Context, existing, desired client.Object) (client.Object, error) {
	if !isOwn(existing) {
		return existing, nil
	}
	if desired == nil {
		return nil, w.delete(ctx, existing)
	}
	narrowed, changed := narrow(existing, desired)
	switch {
	case !changed:
		return existing, nil
	case narrowed == nil:
		return nil, w.delete(ctx, existing)
	default:
		setLabel(narrowed)
		return narrowed, w.apply(ctx, narrowed)
	}
}

// Narrows returns true if the existing object grants a right that desired does not. It also returns true if desired is
// nil.
func Narrows(existing, desired client.Object) bool {
	if desired == nil {
		return true
	}
	_, changed := narrow(existing, desired)
	return changed
}

// Remove deletes the object with the kind and name of the given object. It does nothing if no such object exists, or if
// KubeVision has not created it.
func (w *Writer) Remove(ctx context.Context, object client.Object) error {
	existing, err := w.find(ctx, object)
	if err != nil || existing == nil {
		return err
	}
	return w.Delete(ctx, existing)
}

// Find returns true if an object with the kind and name of the given object exists and KubeVision has created it. It
// returns false if there is none, and ErrForeign if another owner has created it.
func (w *Writer) Find(ctx context.Context, object client.Object) (bool, error) {
	existing, err := w.find(ctx, object)
	if err != nil || existing == nil {
		return false, err
	}
	if !isOwn(existing) {
		return false, w.checkOwner(object)
	}
	return true, nil
}

// narrow returns the desired object with only those rights that the existing object also grants. The second result is
// true if the existing object grants other rights, which must be revoked. If it is true and the first result is nil,
// the existing object must be deleted.
func narrow(existing, desired client.Object) (client.Object, bool) {
	switch d := desired.(type) {
	case *rbacv1.ClusterRoleBinding:
		e, ok := existing.(*rbacv1.ClusterRoleBinding)
		if !ok {
			return nil, false
		}
		kept, changed := narrowBinding(e.RoleRef == d.RoleRef, e.Subjects, d.Subjects)
		if len(kept) == 0 {
			return nil, changed
		}
		return &rbacv1.ClusterRoleBinding{ObjectMeta: *d.ObjectMeta.DeepCopy(), RoleRef: d.RoleRef,
			Subjects: kept}, changed
	case *rbacv1.RoleBinding:
		e, ok := existing.(*rbacv1.RoleBinding)
		if !ok {
			return nil, false
		}
		kept, changed := narrowBinding(e.RoleRef == d.RoleRef, e.Subjects, d.Subjects)
		if len(kept) == 0 {
			return nil, changed
		}
		return &rbacv1.RoleBinding{ObjectMeta: *d.ObjectMeta.DeepCopy(), RoleRef: d.RoleRef, Subjects: kept}, changed
	case *rbacv1.ClusterRole:
		e, ok := existing.(*rbacv1.ClusterRole)
		if !ok || d.AggregationRule != nil {
			return nil, false // Kubernetes replaces the rules of a ClusterRole with an aggregation rule itself.
		}
		if e.AggregationRule != nil {
			return nil, true // An apply would leave the rules to the aggregation controller.
		}
		kept, changed := narrowRules(e.Rules, d.Rules)
		return &rbacv1.ClusterRole{ObjectMeta: *d.ObjectMeta.DeepCopy(), Rules: kept}, changed
	case *rbacv1.Role:
		e, ok := existing.(*rbacv1.Role)
		if !ok {
			return nil, false
		}
		kept, changed := narrowRules(e.Rules, d.Rules)
		return &rbacv1.Role{ObjectMeta: *d.ObjectMeta.DeepCopy(), Rules: kept}, changed
	default:
		return nil, false // Objects of other kinds grant no rights.
	}
}

func narrowBinding(sameRole bool, existing, desired []rbacv1.Subject) ([]rbacv1.Subject, bool) {
	if !sameRole {
		return nil, true
	}
	if slices.Equal(existing, desired) {
		return desired, false
	}
	wanted := make(map[rbacv1.Subject]bool, len(desired))
	for _, s := range desired {
		wanted[s] = true
	}
	kept := make([]rbacv1.Subject, 0, len(existing))
	for _, s := range existing {
		if wanted[s] {
			kept = append(kept, s)
		}
	}
	return kept, len(kept) < len(existing)
}

// narrowRules restricts the existing rules to the rights that the desired rules also grant. It returns the restricted
// rules, and true if they grant less than the existing rules.
func narrowRules(existing, desired []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, bool) {
	var kept []rbacv1.PolicyRule
	changed := false
	for _, e := range existing {
		// One desired rule suffices, because KubeVision's roles have one rule for each resource.
		i := slices.IndexFunc(desired, func(d rbacv1.PolicyRule) bool { return equalButNames(e, d) })
		if i < 0 {
			changed = true
			continue
		}
		names, all := narrowNames(e.ResourceNames, desired[i].ResourceNames)
		if len(names) == 0 && !all {
			changed = true
			continue
		}
		rule := *desired[i].DeepCopy()
		rule.ResourceNames = names
		changed = changed || !slices.Equal(names, e.ResourceNames)
		kept = append(kept, rule)
	}
	return kept, changed
}

// narrowNames returns the intersection of two lists of resourceNames. As in RBAC, an empty list stands for the names of
// all objects. If the intersection stands for the names of all objects, all is true, and names is empty. If the
// intersection contains no name, all is false, and names is empty.
func narrowNames(existing, desired []string) (names []string, all bool) {
	switch {
	case len(desired) == 0:
		return existing, len(existing) == 0
	case len(existing) == 0:
		return desired, false
	}
	wanted := make(map[string]bool, len(desired))
	for _, n := range desired {
		wanted[n] = true
	}
	for _, n := range existing {
		if wanted[n] {
			names = append(names, n)
		}
	}
	return names, false
}

func equalRules(a, b []rbacv1.PolicyRule) bool {
	return slices.EqualFunc(a, b, func(a, b rbacv1.PolicyRule) bool {
		return equalButNames(a, b) && slices.Equal(a.ResourceNames, b.ResourceNames)
	})
}

func equalButNames(a, b rbacv1.PolicyRule) bool {
	return slices.Equal(a.Verbs, b.Verbs) && slices.Equal(a.APIGroups, b.APIGroups) &&
		slices.Equal(a.Resources, b.Resources) &&
		slices.Equal(a.NonResourceURLs, b.NonResourceURLs)
}
