// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	partOfLabel = "app.kubernetes.io/part-of"
	partOf      = "kubevision"
)

// part selects objects of one kind. The uninstallation deletes the selected objects before it continues with the next
// part.
type part struct {
	gvk schema.GroupVersionKind
	// namespace is the namespace of the objects. If it is empty, objects in all namespaces are selected.
	namespace string
	// label is the name of a label that selects the objects. The value of the label must be kubevision. If label is
	// empty, the objects may have any labels.
	label string
	// selected returns true if the object must be deleted.
	selected func(*metav1.PartialObjectMetadata) bool
}

// parts returns the objects of an installation in the order of their deletion.
func parts() []part {
	const (
		rbac        = "rbac.authorization.k8s.io"
		admission   = "admissionregistration.k8s.io"
		flowControl = "flowcontrol.apiserver.k8s.io"
	)
	every := func(*metav1.PartialObjectMetadata) bool { return true }
	named := func(name string) func(*metav1.PartialObjectMetadata) bool {
		return func(o *metav1.PartialObjectMetadata) bool { return o.Name == name }
	}
	labelled := func(group, name string) part {
		return part{gvk: kind(group, name), label: partOfLabel, selected: isOwn}
	}
	selectors := []string{partOfLabel, names.ManagedByLabel}
	rights := []string{"ClusterRoleBinding", "RoleBinding", "ClusterRole", "Role"}
	last := make([]part, 0, len(selectors)*len(rights))
	for _, label := range selectors {
		for _, k := range rights {
			last = append(last, part{gvk: kind(rbac, k), label: label, selected: isOwn})
		}
	}
	return append([]part{
		// kubevision-apiserver still runs when the APIService is deleted. An APIService without a server would make the
		// discovery of API groups fail, and kube-controller-manager could not delete the Namespace.
		{gvk: kind("apiregistration.k8s.io", "APIService"), selected: named(names.APIService)},
		// The policies refer to CustomResourceDefinitions, and therefore precede them.
		labelled(admission, "ValidatingAdmissionPolicyBinding"),
		labelled(admission, "ValidatingAdmissionPolicy"),
		// The Pods precede the Namespace. If the Namespace still contained a Pod, kube-controller-manager would wait
		// for half of the Pod's grace period.
		{gvk: kind("apps", "Deployment"), namespace: names.Namespace, selected: every},
		{gvk: kind("apps", "ReplicaSet"), namespace: names.Namespace, selected: every},
		{gvk: kind("", "Pod"), namespace: names.Namespace, selected: every},
		{gvk: kind("apiextensions.k8s.io", "CustomResourceDefinition"), selected: isDefinition},
		{gvk: kind("", "Namespace"), selected: named(names.Namespace)},
		labelled("scheduling.k8s.io", "PriorityClass"),
		labelled(flowControl, "FlowSchema"),
		labelled(flowControl, "PriorityLevelConfiguration"),
	}, last...)
}

func kind(group, name string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: group, Version: "v1", Kind: name}
}

func isDefinition(o *metav1.PartialObjectMetadata) bool {
	return strings.HasSuffix(o.Name, "."+kubevisionv1alpha1.SchemeGroupVersion.Group)
}

// isOwn returns true if the label app.kubernetes.io/managed-by or the name shows that the object belongs to the
// installation.
func isOwn(o *metav1.PartialObjectMetadata) bool {
	// Admission accepts this label value only from KubeVision. In contrast, any user may set the label
	// app.kubernetes.io/part-of, so that it is no proof.
	if o.Labels[names.ManagedByLabel] == names.ManagedBy {
		return true
	}
	// The name counts only for cluster-scoped objects, and for objects in the namespaces of KubeVision and kube-system.
	switch o.Namespace {
	case "", names.Namespace, metav1.NamespaceSystem:
		return o.Name == partOf || strings.HasPrefix(o.Name, partOf+"-") || strings.HasPrefix(o.Name, partOf+":")
	default:
		return false
	}
}

// removeInstallation deletes all objects of the installation. The users, clusters and role bindings must have been
// deleted before.
func (r *Remover) removeInstallation(ctx context.Context) error {
	for _, p := range parts() {
		if err := r.removePart(ctx, p); err != nil {
			return err
		}
	}
	r.Log.Info("The installation is removed")
	return nil
}

// removePart deletes the objects that p selects, and waits until they no longer exist. If p selects objects by label,
// there is an exception: removePart does not wait for objects with finalizers. Other controllers have set these
// finalizers, and complete the deletion.
func (r *Remover) removePart(ctx context.Context, p part) error {
	return await(ctx, func(ctx context.Context) ([]string, error) {
		var left []string
		var errs []error
		err := r.eachOf(ctx, p, func(o *metav1.PartialObjectMetadata) {
			deleted := !o.DeletionTimestamp.IsZero()
			if deleted && p.label != "" && len(o.Finalizers) > 0 {
				// KubeVision sets no finalizers on these objects. The controllers that have set the finalizers complete
				// the deletion, possibly after the removal.
				r.Log.Info("Waiting for the finalizers of other controllers", "kind", p.gvk.Kind,
					"namespace", o.Namespace, "name", o.Name, "finalizers", o.Finalizers)
				return
			}
			text := describeMetadata(p.gvk.Kind, o)
			switch {
			case deleted && isDefinition(o):
				errs = append(errs, r.retryCleanup(ctx, o))
				if reason := r.describeCleanup(ctx, o.Name); reason != "" {
					text += ": " + reason
				}
			case !deleted:
				errs = append(errs, r.delete(ctx, o))
			}
			left = append(left, text)
		})
		return left, errors.Join(append(errs, err)...)
	})
}

// pageSize is the limit of a list request.
const pageSize = 100

// eachOf calls do for each object that p selects.
func (r *Remover) eachOf(ctx context.Context, p part, do func(*metav1.PartialObjectMetadata)) error {
	options := client.ListOptions{Namespace: p.namespace, Limit: pageSize}
	if p.label != "" {
		options.LabelSelector = labels.SelectorFromSet(labels.Set{p.label: partOf})
	}
	for {
		page := &metav1.PartialObjectMetadataList{}
		page.SetGroupVersionKind(p.gvk.GroupVersion().WithKind(p.gvk.Kind + "List"))
		err := r.Client.List(ctx, page, &options)
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing objects of kind %s: %w", p.gvk.Kind, err)
		}
		for i := range page.Items {
			o := &page.Items[i]
			o.SetGroupVersionKind(p.gvk)
			if p.selected(o) {
				do(o)
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

func describeMetadata(kind string, o *metav1.PartialObjectMetadata) string {
	out := fmt.Sprintf("%s %s is left", kind, o.Name)
	if len(o.Finalizers) > 0 {
		out += ", with the finalizers " + strings.Join(o.Finalizers, ", ")
	}
	return out
}

// RemoveSelf deletes the Namespace and the ClusterRoleBinding of the Job in which the removal runs. It must be the last
// step, because the Job has no rights afterwards.
func (r *Remover) RemoveSelf(ctx context.Context, namespace, binding string) error {
	const timeout = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, o := range []*unstructured.Unstructured{
		object(kind("", "Namespace")), object(kind("rbac.authorization.k8s.io", "ClusterRoleBinding")),
	} {
		o.SetName(namespace)
		if o.GetKind() == "ClusterRoleBinding" {
			o.SetName(binding)
		}
		if err := r.delete(ctx, o); err != nil {
			return err
		}
	}
	return nil
}
