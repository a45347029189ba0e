// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/target"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// plan is what a binding asks for now.
type plan struct {
	// view is what can be reached, for planning and for acting.
	view *target.View
	// missing are the KubeVisionUsers that do not exist.
	missing []string
	// clusters that the binding selects, by name.
	clusters []kubevisionv1alpha1.KubeVisionCluster
	// unknown are cluster names in the spec that are not registered.
	unknown []string
	// invalid says what is wrong with a selector; it selects nothing then.
	invalid error
	// uses are the objects on the host that let the subjects use the clusters.
	uses []client.Object
	// grants are for those of the clusters that can be reached.
	grants []*grant
}

// grant is what a binding asks for on one cluster.
type grant struct {
	target *target.Cluster
	// objects in the order in which they are applied.
	objects []client.Object
	// namespaces that get a RoleBinding, by name; nil where the role holds in the whole cluster.
	namespaces []string
	// absent are namespace names in the spec that do not exist.
	absent []string
	// roleMissing says that the ClusterRole does not exist.
	roleMissing bool
	// err is why it could not be made true.
	err error
}

// grantOn is nil where the binding grants nothing on that cluster.
func (p *plan) grantOn(t *target.Cluster) *grant {
	for _, g := range p.grants {
		if g.target == t {
			return g
		}
	}
	return nil
}

type objectKey struct{ kind, namespace, name string }

func keyOf(o client.Object) objectKey {
	return objectKey{kind: fmt.Sprintf("%T", o), namespace: o.GetNamespace(), name: o.GetName()}
}

func addKeys(keys map[objectKey]bool, objects []client.Object) {
	for _, o := range objects {
		keys[keyOf(o)] = true
	}
}

// plan reads what the binding names and says which RBAC objects that makes.
func (r *Reconciler) plan(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) (*plan, error) {
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := r.Client.List(ctx, &users, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	p := &plan{view: r.Targets.View()}
	subjects, missing := bindings.Subjects(b.Spec.Subjects, bindings.IndexUsers(users.Items))
	p.missing = missing
	if err := r.selectClusters(ctx, b, p); err != nil {
		return nil, err
	}
	for i := range p.clusters {
		t, err := p.view.Get(&p.clusters[i])
		if err != nil || p.grantOn(t) != nil {
			continue // not connected, which its status says, or another name of the same cluster
		}
		g := &grant{target: t}
		p.grants = append(p.grants, g)
		if err := r.planGrant(ctx, b, p, g); err != nil && t == r.Targets.Host() {
			return nil, err
		} else if err != nil {
			g.err = err
		}
		if len(subjects) > 0 {
			g.objects = grants(b, g.namespaces, subjects)
		}
	}
	if len(subjects) > 0 {
		p.uses = uses(b, p, subjects)
	}
	return p, nil
}

func (r *Reconciler) planGrant(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan, g *grant) error {
	if err := selectNamespaces(ctx, b, p, g); err != nil {
		return err
	}
	return findRole(ctx, b, g)
}

func (r *Reconciler) selectClusters(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) error {
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := r.Client.List(ctx, &all); err != nil {
		return fmt.Errorf("listing clusters: %w", err)
	}
	known := map[string]bool{}
	for i := range all.Items {
		c := &all.Items[i]
		if !c.DeletionTimestamp.IsZero() {
			continue
		}
		known[c.Name] = true
		selected, err := bindings.SelectsCluster(b.Spec.Clusters, c.Name, c.Labels)
		if err != nil {
			p.invalid = fmt.Errorf("spec.clusters: %w", err)
		}
		if selected {
			p.clusters = append(p.clusters, *c)
		}
	}
	slices.SortFunc(p.clusters, func(a, b kubevisionv1alpha1.KubeVisionCluster) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range b.Spec.Clusters.Names {
		if !known[name] {
			p.unknown = append(p.unknown, name)
		}
	}
	return nil
}

func selectNamespaces(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan, g *grant) error {
	if b.Spec.Namespaces == nil {
		return nil
	}
	g.namespaces = []string{}
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := g.target.Metadata.Namespaces.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing namespaces: %w", err)
	}
	known := map[string]bool{}
	for i := range all.Items {
		n := &all.Items[i]
		if !n.DeletionTimestamp.IsZero() {
			continue
		}
		known[n.Name] = true
		selected, err := bindings.SelectsNamespace(b.Spec.Namespaces, n.Name, n.Labels)
		if err != nil {
			p.invalid = fmt.Errorf("spec.namespaces: %w", err)
		}
		if selected {
			g.namespaces = append(g.namespaces, n.Name)
		}
	}
	slices.Sort(g.namespaces)
	for _, name := range b.Spec.Namespaces.Names {
		if !known[name] {
			g.absent = append(g.absent, name)
		}
	}
	return nil
}

// findRole looks whether the role exists. A grant of a role that does not exist yet is
// made all the same, as Kubernetes allows it, and comes into force with the role.
func findRole(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, g *grant) error {
	if _, ok := bindings.BuiltInRole(b.Spec.RoleRef); ok {
		return nil
	}
	err := g.target.Metadata.ClusterRoles.Get(ctx, types.NamespacedName{Name: b.Spec.RoleRef.Name}, clusterRoleMetadata())
	if apierrors.IsNotFound(err) {
		g.roleMissing = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading cluster role %s: %w", b.Spec.RoleRef.Name, err)
	}
	return nil
}

// grants bind the subjects to the role: in the whole cluster, or in each namespace.
func grants(b *kubevisionv1alpha1.KubeVisionRoleBinding, namespaces []string, subjects []rbacv1.Subject) []client.Object {
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: bindings.ClusterRole(b.Spec.RoleRef)}
	if namespaces == nil {
		return []client.Object{&rbacv1.ClusterRoleBinding{ObjectMeta: metadata(b, "", names.GrantedRole(b.Name)), RoleRef: ref, Subjects: subjects}}
	}
	out := make([]client.Object, 0, len(namespaces))
	for _, n := range namespaces {
		out = append(out, &rbacv1.RoleBinding{ObjectMeta: metadata(b, n, names.GrantedRole(b.Name)), RoleRef: ref, Subjects: subjects})
	}
	return out
}

// uses let the subjects use the clusters. Whoever is bound on every cluster may use any name, and so learns which are not registered.
func uses(b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan, subjects []rbacv1.Subject) []client.Object {
	every := bindings.SelectsEveryCluster(b.Spec.Clusters)
	if len(p.clusters) == 0 && !every {
		return nil
	}
	rule := rbacv1.PolicyRule{
		APIGroups: []string{kubevisionv1alpha1.GroupName}, Resources: []string{kubevisionv1alpha1.ResourceClusters}, Verbs: []string{authorization.VerbUse},
	}
	if !every {
		for i := range p.clusters {
			rule.ResourceNames = append(rule.ResourceNames, p.clusters[i].Name)
		}
	}
	name := names.ClusterUse(b.Name)
	return []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metadata(b, "", name), Rules: []rbacv1.PolicyRule{rule}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metadata(b, "", name), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}, Subjects: subjects,
		},
	}
}

func metadata(b *kubevisionv1alpha1.KubeVisionRoleBinding, namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{names.RoleBindingLabel: b.Name}}
}
