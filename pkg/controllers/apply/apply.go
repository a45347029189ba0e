// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply writes KubeVision's objects to clusters with server-side apply. It writes only if there is a
// difference. It also deletes KubeVision's objects, and removes rights from KubeVision's RBAC objects. It never changes
// an object that KubeVision has not created.
package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kubevision-io/kubevision/pkg/names"
)

// ErrForeign is returned if an object with the required name exists and KubeVision has not created it.
var ErrForeign = errors.New("already exists and is not managed by KubeVision")

// Writer writes objects to one cluster.
type Writer struct {
	// Client reads objects with KubeVision's label from a cache, and writes to the API server.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
}

// Apply creates or updates an object. It writes nothing if the existing object equals desired. If an immutable field
// differs, it deletes the existing object and creates a new one. It returns ErrForeign if KubeVision has not created
// the existing object.
func (w *Writer) Apply(ctx context.Context, desired client.Object) error {
	setLabel(desired)
	existing, err := w.cached(ctx, desired)
	if err != nil {
		return err
	}
	if existing == nil {
		if err := w.create(ctx, desired); !apierrors.IsAlreadyExists(err) {
			return err
		}
		if existing, err = w.find(ctx, desired); err != nil {
			return err
		}
	}
	switch {
	case existing == nil, isRemade(existing, desired):
	case !isOwn(existing):
		return w.checkOwner(desired)
	case matches(existing, desired):
		return nil
	case immutableDiffers(existing, desired):
		if err := w.delete(ctx, existing); err != nil {
			return err
		}
	}
	return w.apply(ctx, desired)
}

// create creates an object. It returns AlreadyExists if the object exists. A server-side apply would instead change an
// existing object without a check of its owner.
func (w *Writer) create(ctx context.Context, desired client.Object) error {
	o, ok := desired.DeepCopyObject().(client.Object) // a copy, because the response is decoded into the argument
	if !ok {
		return fmt.Errorf("%T is not an object", desired)
	}
	if err := w.Client.Create(ctx, o, client.FieldOwner(names.FieldManager)); err != nil {
		return fmt.Errorf("creating %s: %w", w.describe(desired), err)
	}
	return nil
}

// Delete deletes an object that KubeVision has created. It does nothing for other objects. Finalizers may delay the
// deletion. Therefore, if the object is an RBAC object with finalizers, Delete first removes its rules or subjects.
func (w *Writer) Delete(ctx context.Context, object client.Object) error {
	if !isOwn(object) {
		return nil
	}
	return w.delete(ctx, object)
}

// DeleteUnchanged deletes an object, unless the object has changed since it was read. The caller must have checked that
// KubeVision has created the object. For an RBAC object with finalizers, the first call only removes the rules or
// subjects, and a later call deletes the object.
func (w *Writer) DeleteUnchanged(ctx context.Context, object client.Object) error {
	if emptied, err := w.removeRights(ctx, object, object.GetResourceVersion()); emptied || err != nil {
		return err // The object has changed. This triggers the reconciliation that calls DeleteUnchanged again.
	}
	uid, version := object.GetUID(), object.GetResourceVersion()
	err := w.Client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting %s: %w", w.describe(object), err)
	}
	return nil
}

func (w *Writer) delete(ctx context.Context, object client.Object) error {
	if _, err := w.removeRights(ctx, object, ""); err != nil {
		return err
	}
	uid := object.GetUID()
	if err := w.Client.Delete(ctx, object, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s: %w", w.describe(object), err)
	}
	return nil
}

// find returns the existing object, or nil. It reads from the cache first. The cache contains only objects with
// KubeVision's label. Another client may have removed the label, so find also reads from the API server if the cache
// does not contain the object.
func (w *Writer) find(ctx context.Context, desired client.Object) (client.Object, error) {
	existing, err := w.cached(ctx, desired)
	if err != nil || existing != nil {
		return existing, err
	}
	existing, err = w.emptyLike(desired)
	if err != nil {
		return nil, err
	}
	err = w.Live.Get(ctx, client.ObjectKeyFromObject(desired), existing)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // the object does not exist
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", w.describe(desired), err)
	}
	return existing, nil
}

// cached returns the object from the cache, or nil if the cache does not contain it.
func (w *Writer) cached(ctx context.Context, desired client.Object) (client.Object, error) {
	existing, err := w.emptyLike(desired)
	if err != nil {
		return nil, err
	}
	err = w.Client.Get(ctx, client.ObjectKeyFromObject(desired), existing, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) || (err == nil && !isOwn(existing)) {
		return nil, nil //nolint:nilnil // the cache does not contain the object
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", w.describe(desired), err)
	}
	return existing, nil
}

// emptyLike returns an empty object of the same kind as desired, for decoding a response. A copy of desired would be
// unsuitable: decoding adds labels to the existing labels, but does not remove any.
func (w *Writer) emptyLike(desired client.Object) (client.Object, error) {
	gvk, err := apiutil.GVKForObject(desired, w.Client.Scheme())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", w.describe(desired), err)
	}
	empty, err := w.Client.Scheme().New(gvk)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", w.describe(desired), err)
	}
	o, ok := empty.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", desired)
	}
	return o, nil
}

func (w *Writer) apply(ctx context.Context, desired client.Object) error {
	gvk, err := apiutil.GVKForObject(desired, w.Client.Scheme())
	if err != nil {
		return fmt.Errorf("applying %s: %w", w.describe(desired), err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return fmt.Errorf("applying %s: %w", w.describe(desired), err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	if rules, ok := u.Object["rules"]; ok && rules == nil {
		if u.Object["aggregationRule"] == nil {
			u.Object["rules"] = []any{} // removes rules that another client has added
		} else {
			delete(u.Object, "rules") // the aggregation controller sets the rules
		}
	}
	err = w.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.ForceOwnership,
		client.FieldOwner(names.FieldManager))
	if err != nil {
		return fmt.Errorf("applying %s: %w", w.describe(desired), err)
	}
	return nil
}

func (w *Writer) checkOwner(o client.Object) error {
	return fmt.Errorf("%s %w", w.describe(o), ErrForeign)
}

func setLabel(o client.Object) {
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[names.ManagedByLabel] = names.ManagedBy
	o.SetLabels(labels)
}

// isOwn returns true if KubeVision has created the object: it has KubeVision's label, or its managedFields contain
// KubeVision's field manager.
func isOwn(o client.Object) bool {
	return o.GetLabels()[names.ManagedByLabel] == names.ManagedBy ||
		slices.ContainsFunc(o.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
			return e.Manager == names.FieldManager
		})
}

// isRemade returns true if the aggregation controller of Kubernetes has created the ClusterRole again after KubeVision
// deleted it. Such a role contains only aggregated rules and may be replaced.
func isRemade(existing, desired client.Object) bool {
	const aggregator = "clusterrole-aggregation-controller"
	e, isRole := existing.(*rbacv1.ClusterRole)
	d, wantsRole := desired.(*rbacv1.ClusterRole)
	if !isRole || !wantsRole || d.AggregationRule == nil || e.AggregationRule != nil || len(e.ManagedFields) == 0 {
		return false
	}
	return len(e.Labels) == 0 && !slices.ContainsFunc(e.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager != aggregator
	})
}

// describe returns the kind and name of an object for messages.
func (w *Writer) describe(o client.Object) string {
	kind := "object"
	if gvk, err := apiutil.GVKForObject(o, w.Client.Scheme()); err == nil {
		kind = gvk.Kind
	}
	if o.GetNamespace() != "" {
		return fmt.Sprintf("%s %s/%s", kind, o.GetNamespace(), o.GetName())
	}
	return kind + " " + o.GetName()
}

// matches returns true if the fields that KubeVision sets are equal in both objects.
func matches(existing, desired client.Object) bool {
	for k, v := range desired.GetLabels() {
		if existing.GetLabels()[k] != v {
			return false
		}
	}
	equal := equality.Semantic.DeepEqual
	switch d := desired.(type) {
	case *rbacv1.ClusterRole:
		e, ok := existing.(*rbacv1.ClusterRole)
		return ok && equal(e.AggregationRule, d.AggregationRule) &&
			(d.AggregationRule != nil || equalRules(e.Rules, d.Rules))
	case *rbacv1.Role:
		e, ok := existing.(*rbacv1.Role)
		return ok && equalRules(e.Rules, d.Rules)
	case *rbacv1.ClusterRoleBinding:
		e, ok := existing.(*rbacv1.ClusterRoleBinding)
		return ok && slices.Equal(e.Subjects, d.Subjects) && e.RoleRef == d.RoleRef
	case *rbacv1.RoleBinding:
		e, ok := existing.(*rbacv1.RoleBinding)
		return ok && slices.Equal(e.Subjects, d.Subjects) && e.RoleRef == d.RoleRef
	default: // ServiceAccounts have no other fields
		return true
	}
}

// immutableDiffers returns true if the existing object must be deleted and created again: the roleRef of a binding
// differs, or the existing ClusterRole aggregates rules and the desired one does not.
func immutableDiffers(existing, desired client.Object) bool {
	switch d := desired.(type) {
	case *rbacv1.ClusterRole:
		e, ok := existing.(*rbacv1.ClusterRole)
		return ok && e.AggregationRule != nil && d.AggregationRule == nil
	case *rbacv1.ClusterRoleBinding:
		e, ok := existing.(*rbacv1.ClusterRoleBinding)
		return ok && e.RoleRef != d.RoleRef
	case *rbacv1.RoleBinding:
		e, ok := existing.(*rbacv1.RoleBinding)
		return ok && e.RoleRef != d.RoleRef
	default:
		return false
	}
}
