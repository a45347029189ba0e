// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// plan contains the RBAC objects that a binding requires on all clusters.
type plan struct {
	// view contains the clusters that were reachable when the plan was made. The plan is applied only to these
	// clusters.
	view *clustercache.View
	// subjects are the subjects of the binding, with the names that they have on the host cluster. Some subjects have
	// other names on member clusters (see grant.subjects).
	subjects []rbacv1.Subject
	// missing contains the names of KubeVisionUsers that do not exist.
	missing []string
	// clusters are the KubeVisionClusters that the binding selects, sorted by name.
	clusters []kubevisionv1alpha1.KubeVisionCluster
	// unknown contains the names in spec.clusters for which there is no KubeVisionCluster.
	unknown []string
	// invalid is the error of an invalid label selector in the binding, or nil. An invalid selector selects nothing.
	invalid error
	// useObjects contains the ClusterRole and the ClusterRoleBinding on the host cluster that grant the verb "use" on
	// the selected KubeVisionClusters.
	useObjects []client.Object
	// useErr is the error that prevents the grant of the verb "use" on the selected KubeVisionClusters, or nil.
	useErr error
	// leftOut is true if KubeVision gets no right to impersonate the subjects of the binding, because the names in all
	// bindings together would exceed bindings.ImpersonationBudget.
	leftOut bool
	// grants contains a grant for each cluster that is selected and can be reached.
	grants []*grant
}

// grant contains the RBAC objects that a binding requires on one cluster, and the result of applying them.
type grant struct {
	target *clustercache.Cluster
	// subjects are the subjects of the binding, with the names that they have on this cluster.
	subjects []rbacv1.Subject
	// objects are the desired objects, in the order in which they are applied.
	objects []client.Object
	// namespaces are the namespaces in which a RoleBinding is required.
	namespaces []namespace
	// absent contains the names in spec.namespaces that do not exist on the cluster.
	absent []string
	// roleMissing is true if the ClusterRole does not exist.
	roleMissing bool
	// builtInRoleExists maps the name of a ClusterRole to true if KubeVision has created this ClusterRole for a
	// built-in role of KubeVision. It is nil if the binding grants a custom role.
	builtInRoleExists map[string]bool
	// ruleless maps the name of a ClusterRole that KubeVision has created to true if Kubernetes has not aggregated any
	// rules into this ClusterRole yet.
	ruleless map[string]bool
	// namespacesErr is the error of listing the namespaces of the cluster, or nil. If it is not nil, the selected
	// namespaces are unknown, and existing RoleBindings are kept.
	namespacesErr error
	// excess describes the size limit that the objects would exceed. It is empty if the objects may be created.
	excess   string
	existing map[objectKey]client.Object
	// waiting is the number of objects that are left for the next reconciliation, because one reconciliation writes
	// only a limited number of objects.
	waiting int
	// err contains the errors of this cluster, or is nil.
	err error
}

// mayCreate returns true if KubeVision may create the objects of g. It returns false if they would exceed a size limit.
func (p *plan) mayCreate(g *grant) bool { return !p.leftOut && g.excess == "" }

// exceeds returns true if the planned objects for the cluster t would exceed a size limit for RBAC objects on one
// cluster.
func (p *plan) exceeds(t *clustercache.Cluster) bool {
	g := p.grantOn(t)
	return g != nil && g.excess != ""
}

// waiting returns true if some objects are left for the next reconciliation, because one reconciliation writes only a
// limited number of objects.
func (p *plan) waiting() bool {
	return slices.ContainsFunc(p.grants, func(g *grant) bool { return g.waiting > 0 })
}

// grantOn returns the grant for the cluster t, or nil if the binding grants nothing on it.
func (p *plan) grantOn(t *clustercache.Cluster) *grant {
	for _, g := range p.grants {
		if g.target == t {
			return g
		}
	}
	return nil
}

type objectKey struct{ kind, namespace, name string }

func keyOf(o client.Object) objectKey {
	return objectKey{kind: kindOf(o), namespace: o.GetNamespace(), name: o.GetName()}
}

func kindOf(o client.Object) string {
	switch o.(type) {
	case *rbacv1.RoleBinding:
		return "RoleBinding"
	case *rbacv1.ClusterRoleBinding:
		return "ClusterRoleBinding"
	default:
		return fmt.Sprintf("%T", o)
	}
}

// plan computes the RBAC objects that the binding requires. It returns an error if users, bindings or clusters cannot
// be read from the cache. It does not return the error of a single cluster. It records this error in the grant, which
// is the part of the plan for this cluster.
func (r *Reconciler) plan(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) (*plan, error) {
	users, err := r.subjectUsers(ctx, b)
	if err != nil {
		return nil, err
	}
	p := &plan{view: r.Targets.View()}
	p.subjects, p.missing = bindings.Subjects(b.Spec.Subjects, users)
	named, err := r.Targets.Host().Impersonator.Source.Read(ctx)
	if err != nil {
		return nil, err
	}
	p.leftOut = named.IsOverBudget(b.UID)
	registered, err := r.selectClusters(ctx, b, p)
	if err != nil {
		return nil, err
	}
	for i := range p.clusters {
		t, err := p.view.Get(&p.clusters[i])
		if err != nil || p.grantOn(t) != nil {
			continue // The cluster is not connected, or is another registration of a cluster in the plan.
		}
		g := &grant{target: t, subjects: r.subjectsOn(t, p)}
		p.grants = append(p.grants, g)
		r.planGrant(ctx, b, p, g, registered)
	}
	if len(p.subjects) > 0 {
		r.planUse(ctx, b, p)
	}
	return p, nil
}

func (r *Reconciler) subjectsOn(t *clustercache.Cluster, p *plan) []rbacv1.Subject {
	if t == r.Targets.Host() {
		return p.subjects
	}
	return bindings.OnMember(p.subjects)
}

// subjectUsers returns the KubeVisionUsers that are subjects of the binding and exist.
func (r *Reconciler) subjectUsers(
	ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding,
) (bindings.Users, error) {
	users := bindings.Users{}
	for _, s := range b.Spec.Subjects {
		if s.Kind != kubevisionv1alpha1.SubjectKubeVisionUser {
			continue
		}
		u := &kubevisionv1alpha1.KubeVisionUser{}
		err := r.Client.Get(ctx, types.NamespacedName{Name: s.Name}, u, client.UnsafeDisableDeepCopy)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading user %s: %w", s.Name, err)
		}
		users[s.Name] = u
	}
	return users, nil
}

func (r *Reconciler) planGrant(
	ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan, g *grant,
	registered []kubevisionv1alpha1.KubeVisionCluster,
) {
	if err := findRoles(ctx, b, g); err != nil {
		g.err = err
	}
	all, err := r.listNamespaces(ctx, g.target)
	if err != nil {
		g.namespacesErr, g.err = err, err
	} else {
		if g.namespaces, err = all.selectIn(b); err != nil {
			p.invalid = fmt.Errorf("spec.namespaces: %w", err)
		}
		g.absent = all.absent(b.Spec.Namespaces)
	}
	if len(p.subjects) == 0 {
		g.namespacesErr = nil // Without subjects, no object is kept.
		return
	}
	g.objects = newRBACBindings(b, g.namespaces, g.subjects)
	if g.namespacesErr == nil && !p.leftOut {
		g.excess, err = r.budgets.admit(ctx, r.Client, p.view, g.target, b, registered, all)
		if err != nil {
			g.err = err
		}
	}
}

// selectClusters stores in p which KubeVisionClusters the binding selects. It returns all KubeVisionClusters, including
// those that are not selected.
func (r *Reconciler) selectClusters(
	ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan,
) ([]kubevisionv1alpha1.KubeVisionCluster, error) {
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
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
	slices.SortFunc(p.clusters, func(a, b kubevisionv1alpha1.KubeVisionCluster) int {
		return strings.Compare(a.Name, b.Name)
	})
	for _, name := range b.Spec.Clusters.Names {
		if !known[name] {
			p.unknown = append(p.unknown, name)
		}
	}
	return all.Items, nil
}

func newRBACBindings(
	b *kubevisionv1alpha1.KubeVisionRoleBinding, namespaces []namespace, subjects []rbacv1.Subject,
) []client.Object {
	out := make([]client.Object, 0, len(namespaces)+1)
	if b.Spec.Namespaces == nil {
		// The caller passes only namespaces in which the role grants more than this ClusterRoleBinding.
		out = append(out, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metadata(b, "", names.GrantedRole(b.Name)),
			RoleRef:    clusterRoleRef(bindings.WholeClusterRole(b.Spec.RoleRef)), Subjects: subjects,
		})
	}
	for _, n := range namespaces {
		out = append(out, roleBinding(b, n.name, bindings.NamespaceRole(b.Spec.RoleRef, n.protected), subjects))
	}
	return out
}

func roleBinding(
	b *kubevisionv1alpha1.KubeVisionRoleBinding, namespace, role string, subjects []rbacv1.Subject,
) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metadata(b, namespace, names.GrantedRole(b.Name)), RoleRef: clusterRoleRef(role),
		Subjects: subjects,
	}
}

func clusterRoleRef(name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
}

// planUse sets p.useObjects to the objects that grant the verb "use" on the selected KubeVisionClusters. If planning
// them fails, it sets p.useErr.
func (r *Reconciler) planUse(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) {
	every := bindings.SelectsEveryCluster(b.Spec.Clusters)
	if len(p.clusters) == 0 && !every {
		return
	}
	rule := rbacv1.PolicyRule{
		APIGroups: []string{kubevisionv1alpha1.GroupName}, Resources: []string{kubevisionv1alpha1.ResourceClusters},
		Verbs: []string{kubevisionv1alpha1.VerbUse},
	}
	// Without resourceNames, subjects may also use clusters that do not exist. Therefore, a request to such a cluster
	// is not denied, and its error says that the cluster does not exist.
	if !every {
		for i := range p.clusters {
			rule.ResourceNames = append(rule.ResourceNames, p.clusters[i].Name)
		}
	}
	name := names.ClusterUse(b.Name)
	role := &rbacv1.ClusterRole{ObjectMeta: metadata(b, "", name), Rules: []rbacv1.PolicyRule{rule}}
	if _, p.useErr = r.Targets.Host().Writer.Find(ctx, role); p.useErr != nil {
		return
	}
	p.useObjects = []client.Object{
		role, &rbacv1.ClusterRoleBinding{ObjectMeta: metadata(b, "", name), RoleRef: clusterRoleRef(name),
			Subjects: p.subjects},
	}
}

func metadata(b *kubevisionv1alpha1.KubeVisionRoleBinding, namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name,
		Labels: map[string]string{names.RoleBindingLabel: b.Name}}
}
