// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
)

// namespace contains the properties of a Namespace that determine whether a role is granted in it.
type namespace struct {
	name      string
	labels    labels.Set
	protected bool
}

// namespaceList contains the namespaces of a cluster that are not being deleted, sorted by name.
type namespaceList struct {
	items []namespace
	// fingerprint is a hash of the UIDs and resource versions of the namespaces. It changes if a namespace is created,
	// changed or deleted.
	fingerprint uint64
}

func (r *Reconciler) listNamespaces(ctx context.Context, t *clustercache.Cluster) (namespaceList, error) {
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := t.Metadata.Namespaces.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return namespaceList{}, fmt.Errorf("listing namespaces: %w", err)
	}
	out := namespaceList{items: make([]namespace, 0, len(all.Items))}
	for i := range all.Items {
		n := &all.Items[i]
		if !n.DeletionTimestamp.IsZero() {
			continue
		}
		out.items = append(out.items, namespace{n.Name, n.Labels, bindings.IsProtected(n.Name, n.Labels)})
		out.fingerprint += maphash.String(r.budgets.seed, string(n.UID)+n.ResourceVersion)
	}
	slices.SortFunc(out.items, func(a, b namespace) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// selectIn returns the namespaces in which the binding b requires a RoleBinding. It returns an error if the label
// selector in spec.namespaces is invalid.
func (l namespaceList) selectIn(b *kubevisionv1alpha1.KubeVisionRoleBinding) ([]namespace, error) {
	targets := b.Spec.Namespaces
	var out []namespace
	switch {
	case targets == nil && !bindings.SparesProtected(b.Spec.RoleRef):
		return nil, nil // a ClusterRoleBinding is sufficient
	case targets == nil: // in protected namespaces, a ClusterRoleBinding is sufficient
		for _, n := range l.items {
			if !n.protected {
				out = append(out, n)
			}
		}
		return out, nil
	}
	selects, err := bindings.NamespaceSelection(targets)
	if err != nil {
		return nil, err
	}
	for _, n := range l.items {
		if selects(n.name, n.labels) {
			out = append(out, n)
		}
	}
	return out, nil
}

// absent returns those names in the targets for which there is no namespace.
func (l namespaceList) absent(targets *kubevisionv1alpha1.NamespaceTargets) []string {
	if targets == nil {
		return nil
	}
	var out []string
	for _, name := range targets.Names {
		_, found := slices.BinarySearchFunc(l.items, name, func(n namespace, name string) int {
			return strings.Compare(n.name, name)
		})
		if !found {
			out = append(out, name)
		}
	}
	return out
}
