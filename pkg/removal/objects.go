// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func kindsInDeletionOrder() []string {
	return []string{
		kubevisionv1alpha1.KindRoleBinding, kubevisionv1alpha1.KindCluster, kubevisionv1alpha1.KindUser,
	}
}

// removeObjects deletes all role bindings, then all clusters, then all users.
func (r *Remover) removeObjects(ctx context.Context) error {
	kinds := kindsInDeletionOrder()
	present := false
	for _, kind := range kinds {
		items, err := r.list(ctx, kubevisionv1alpha1.SchemeGroupVersion.WithKind(kind))
		if err != nil {
			return err
		}
		present = present || len(items) > 0
	}
	if !present {
		return nil
	}
	return r.withControllers(ctx, func(ctx context.Context) error {
		for _, kind := range kinds {
			if err := r.removeAll(ctx, kind); err != nil {
				return err
			}
		}
		return nil
	})
}

// withControllers calls f while the controllers run. If no replica of kubevision-controller-manager is available, it
// runs the controllers in this process.
func (r *Remover) withControllers(ctx context.Context, f func(context.Context) error) error {
	available, err := r.controllersAvailable(ctx)
	if err != nil {
		return err
	}
	if available {
		return f(ctx)
	}
	r.Log.Info("kubevision-controller-manager is not available. Running its controllers in this process")
	if err := r.defineMissing(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- r.Controllers(ctx)
	}()
	err = f(ctx)
	cancel()
	if failure := <-ended; err != nil && failure != nil {
		return errors.Join(err, fmt.Errorf("running the controllers: %w", failure))
	}
	return err
}

func (r *Remover) controllersAvailable(ctx context.Context) (bool, error) {
	deployment := object(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"})
	key := client.ObjectKey{Namespace: names.Namespace, Name: "kubevision-controller-manager"}
	if err := r.Client.Get(ctx, key, deployment); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("reading the Deployment of the controllers: %w", err)
	}
	available, _, err := unstructured.NestedInt64(deployment.Object, "status", "availableReplicas")
	if err != nil {
		return false, fmt.Errorf("reading the Deployment of the controllers: %w", err)
	}
	return available > 0 && deployment.GetDeletionTimestamp().IsZero(), nil
}

// removeAll deletes all objects of a kind, and waits until they no longer exist.
func (r *Remover) removeAll(ctx context.Context, kind string) error {
	gvk := kubevisionv1alpha1.SchemeGroupVersion.WithKind(kind)
	return await(ctx, func(ctx context.Context) ([]string, error) {
		items, err := r.list(ctx, gvk)
		if err != nil {
			return nil, err
		}
		var left []string
		var errs []error
		for i := range items {
			errs = append(errs, r.removeObject(ctx, &items[i]))
			left = append(left, describe(&items[i]))
		}
		return left, errors.Join(errs...)
	})
}

// removeObject requests the deletion of the object o. It first annotates o in two cases. If o is a user or a role
// binding, the annotation makes admission allow the removal of the only remaining administrator. If o is a cluster in
// r.Abandon, the annotation makes the controller remove o without first deleting KubeVision's objects on the cluster.
func (r *Remover) removeObject(ctx context.Context, o *unstructured.Unstructured) error {
	annotation := names.AllowRemovingLastAdminAnnotation
	if o.GetKind() == kubevisionv1alpha1.KindCluster {
		annotation = names.AbandonAnnotation
	}
	if o.GetKind() != kubevisionv1alpha1.KindCluster || slices.Contains(r.Abandon, o.GetName()) {
		if err := r.annotate(ctx, o, annotation); err != nil {
			return err
		}
	}
	if !o.GetDeletionTimestamp().IsZero() {
		return nil
	}
	return r.delete(ctx, o)
}

// delete deletes an object. It returns nil if the object does not exist.
func (r *Remover) delete(ctx context.Context, o client.Object) error {
	if err := r.Client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s %s: %w", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
	}
	return nil
}

func (r *Remover) annotate(ctx context.Context, o *unstructured.Unstructured, annotation string) error {
	if o.GetAnnotations()[annotation] == "true" {
		return nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, annotation)
	err := r.Client.Patch(ctx, o.DeepCopy(), client.RawPatch("application/merge-patch+json", patch))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("annotating %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// describe returns a text about an object that still exists. The text contains the finalizers and, if the object is not
// Ready, the message of the condition Ready.
func describe(o *unstructured.Unstructured) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s is left", o.GetKind(), o.GetName())
	if finalizers := o.GetFinalizers(); len(finalizers) > 0 {
		out.WriteString(", with the finalizers " + strings.Join(finalizers, ", "))
	}
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		return out.String()
	}
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if ok && condition["type"] == kubevisionv1alpha1.ReadyCondition &&
			condition["status"] != string(metav1.ConditionTrue) {
			fmt.Fprintf(&out, ": %v", condition["message"])
		}
	}
	return out.String()
}

// list returns the objects of a kind, or none if the cluster does not serve the kind.
func (r *Remover) list(ctx context.Context, gvk schema.GroupVersionKind) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err := r.Client.List(ctx, list)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing objects of kind %s: %w", gvk.Kind, err)
	}
	return list.Items, nil
}

func object(gvk schema.GroupVersionKind) *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(gvk)
	return out
}
