// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	partOfLabel = "app.kubernetes.io/part-of"
	partOf      = "kubevision"
)

// part is a set of objects of an installation.
type part struct {
	gvk      schema.GroupVersionKind
	label    string
	selected func(*unstructured.Unstructured) bool
}

// parts returns what an installation consists of, in the order of its removal. Without the APIService the deletion of
// namespaces does not wait for kubevision-apiserver; without the policies nothing refers to the definitions. The rights
// of the programs go last, with the namespace in which they run.
func parts() []part {
	const (
		rbac        = "rbac.authorization.k8s.io"
		flowControl = "flowcontrol.apiserver.k8s.io"
	)
	named := func(name string) func(*unstructured.Unstructured) bool {
		return func(o *unstructured.Unstructured) bool { return o.GetName() == name }
	}
	labels := []string{partOfLabel, names.ManagedByLabel}
	rights := []string{"ClusterRoleBinding", "RoleBinding", "ClusterRole", "Role"}
	last := make([]part, 0, len(labels)*len(rights))
	for _, label := range labels {
		for _, k := range rights {
			last = append(last, part{gvk: kind(rbac, k), label: label})
		}
	}
	return append([]part{
		{gvk: kind("apiregistration.k8s.io", "APIService"), selected: named(names.APIService)},
		{gvk: kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"), label: partOfLabel},
		{gvk: kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"), label: partOfLabel},
		{gvk: kind("apiextensions.k8s.io", "CustomResourceDefinition"), selected: isDefinition},
		{gvk: kind("", "Namespace"), selected: named(names.Namespace)},
		{gvk: kind("scheduling.k8s.io", "PriorityClass"), label: partOfLabel},
		{gvk: kind(flowControl, "FlowSchema"), label: partOfLabel},
		{gvk: kind(flowControl, "PriorityLevelConfiguration"), label: partOfLabel},
	}, last...)
}

func kind(group, name string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: group, Version: "v1", Kind: name}
}

func isDefinition(o *unstructured.Unstructured) bool {
	group, _, err := unstructured.NestedString(o.Object, "spec", "group")
	return err == nil && group == kubevisionv1alpha1.SchemeGroupVersion.Group
}

// removeInstallation removes what is not an object of users.
func (r *Remover) removeInstallation(ctx context.Context) error {
	for _, p := range parts() {
		if err := r.removePart(ctx, p); err != nil {
			return err
		}
	}
	r.Log.Info("The installation is removed")
	return nil
}

// removePart deletes the objects of a part, and waits for their end.
func (r *Remover) removePart(ctx context.Context, p part) error {
	return await(ctx, func(ctx context.Context) ([]string, error) {
		items, err := r.selected(ctx, p)
		if err != nil {
			return nil, err
		}
		var left []string
		var errs []error
		for i := range items {
			o := &items[i]
			left = append(left, describe(o))
			if !o.GetDeletionTimestamp().IsZero() {
				continue
			}
			if err := r.Client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("deleting %s %s: %w", o.GetKind(), o.GetName(), err))
			}
		}
		return left, errors.Join(errs...)
	})
}

func (r *Remover) selected(ctx context.Context, p part) ([]unstructured.Unstructured, error) {
	var options []client.ListOption
	if p.label != "" {
		options = append(options, client.MatchingLabels{p.label: partOf})
	}
	all, err := r.list(ctx, p.gvk, options...)
	if err != nil || p.selected == nil {
		return all, err
	}
	var out []unstructured.Unstructured
	for i := range all {
		if p.selected(&all[i]) {
			out = append(out, all[i])
		}
	}
	return out, nil
}

// RemoveSelf deletes the namespace of a removal that runs in the cluster, and the binding by which it has its rights,
// which is the last that it can do.
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
		if err := r.Client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}
