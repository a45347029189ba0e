// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
)

// verdict contains the status, the reason and the message of a condition.
type verdict struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

// report sets b.Status to the result of a reconciliation, without writing it to the API server. p contains the results
// of applying the plan to the clusters, and err is the error of the host cluster, or nil.
func (r *Reconciler) report(b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan, err error) {
	b.Status.ObservedGeneration = b.Generation
	b.Status.Summary = summary(b)
	clusters := r.clusterStatuses(b, p, err)
	unreachable := unreachable(p)
	applied := appliedVerdict(p, clusters, unreachable, err)
	resolved := verdict{metav1.ConditionTrue, kubevisionv1alpha1.ReasonSubjectsResolved, "every subject exists"}
	if len(p.missing) > 0 {
		resolved = verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonSubjectNotFound,
			"there is no KubeVisionUser " + strings.Join(p.missing, ", ")}
	}
	ready := verdict{metav1.ConditionTrue, kubevisionv1alpha1.ReasonReady, "the binding is in force"}
	for _, v := range []verdict{applied, resolved} {
		if v.status != metav1.ConditionTrue {
			ready = v
			break
		}
	}
	set := func(conditionType string, v verdict) {
		condition.Set(&b.Status.Conditions, b.Generation, conditionType, v.status, v.reason, v.message)
	}
	set(kubevisionv1alpha1.ReadyCondition, ready)
	set(kubevisionv1alpha1.RoleBindingSubjectsCondition, resolved)
	set(kubevisionv1alpha1.RoleBindingAppliedCondition, applied)
	reached := reachVerdict(len(p.clusters), unreachable)
	r.recordReach(b, reached)
	set(kubevisionv1alpha1.RoleBindingClustersCondition, reached)
	b.Status.UnreachableClusters = new(int32(min(len(unreachable), math.MaxInt32)))
	b.Status.Clusters = clusters
}

// appliedVerdict returns the condition Applied. The condition ignores clusters that cannot be reached, so that clients
// that wait for the condition do not wait for a cluster that is down. However, if no selected cluster can be reached,
// the condition is False.
func appliedVerdict(
	p *plan, clusters []kubevisionv1alpha1.RoleBindingClusterStatus, unreachable sets.Set[string], err error,
) verdict {
	switch {
	case err != nil:
		return failureVerdict(err)
	case p.invalid != nil:
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonInvalidSelector, p.invalid.Error()}
	case len(p.unknown) > 0:
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonClusterNotFound,
			"there is no KubeVisionCluster " + strings.Join(p.unknown, ", ")}
	case len(p.clusters) == 0:
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonNoClusterMatches,
			"no KubeVisionCluster matches the selector"}
	}
	for _, c := range clusters {
		if len(unreachable) < len(clusters) && unreachable.Has(c.Name) {
			continue
		}
		if c.Status != metav1.ConditionTrue {
			return verdict{metav1.ConditionFalse, c.Reason, fmt.Sprintf("cluster %s: %s", c.Name, c.Message)}
		}
	}
	return verdict{
		metav1.ConditionTrue, kubevisionv1alpha1.ReasonApplied,
		"the binding is applied on all selected clusters that are reachable",
	}
}

func (r *Reconciler) clusterStatuses(
	b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan, err error,
) []kubevisionv1alpha1.RoleBindingClusterStatus {
	out := make([]kubevisionv1alpha1.RoleBindingClusterStatus, 0, len(p.clusters))
	for i := range p.clusters {
		s := kubevisionv1alpha1.RoleBindingClusterStatus{Name: p.clusters[i].Name, ClusterRole: statusRoleName(b)}
		var v verdict
		if t, missing := p.view.Get(&p.clusters[i]); missing != nil {
			v = verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonNotConnected, "the cluster is not connected"}
		} else {
			g := p.grantOn(t)
			v = g.verdict(b, p.leftOut, cmp.Or(g.err, err))
			g.describe(b, &s)
		}
		s.Status, s.Reason, s.Message = v.status, v.reason, condition.Truncate(v.message)
		out = append(out, s)
	}
	truncateStatuses(out)
	return out
}

// truncateStatuses shortens the namespace lists and messages of all clusters, so that etcd can store the object. Each
// cluster gets an equal part of the maximum size.
func truncateStatuses(clusters []kubevisionv1alpha1.RoleBindingClusterStatus) {
	for i := range clusters {
		s, room := &clusters[i], maxNamesBytes/len(clusters)
		s.Message = response.Text(s.Message, maxMessageBytes/len(clusters))
		for n, name := range s.Namespaces {
			if room -= len(name); room < 0 {
				s.Namespaces = s.Namespaces[:n]
				break
			}
		}
	}
}

func (g *grant) verdict(b *kubevisionv1alpha1.KubeVisionRoleBinding, leftOut bool, err error) verdict {
	switch {
	case err != nil:
		return failureVerdict(err)
	case leftOut:
		return verdict{
			metav1.ConditionFalse, kubevisionv1alpha1.ReasonTooLarge, fmt.Sprintf(
				"this binding is one of the newest, and the names of all bindings exceed %d MiB, the limit of "+
					"names that KubeVision may impersonate: bind Kubernetes groups instead of users",
				bindings.ImpersonationBudget>>20),
		}
	case g.excess != "":
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonTooLarge, g.excess}
	case len(g.unready()) > 0:
		return verdict{
			metav1.ConditionFalse, kubevisionv1alpha1.ReasonDependencyNotReady,
			"there is no ClusterRole " + strings.Join(g.unready(), ", ") + " yet",
		}
	case len(g.withoutRules()) > 0:
		return verdict{
			metav1.ConditionFalse, kubevisionv1alpha1.ReasonDependencyNotReady,
			"the cluster has not aggregated any rules into ClusterRole " + strings.Join(g.withoutRules(), ", ") +
				": check that its kube-controller-manager is running",
		}
	case g.waiting > 0:
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonApplying,
			"the RoleBindings in its namespaces are being created"}
	case g.roleMissing:
		return verdict{
			metav1.ConditionFalse, kubevisionv1alpha1.ReasonRoleNotFound, fmt.Sprintf(
				"there is no ClusterRole %s; the built-in roles are %s, %s, %s and %s", b.Spec.RoleRef.Name,
				kubevisionv1alpha1.RoleAdmin, kubevisionv1alpha1.RoleOps, kubevisionv1alpha1.RoleDev,
				kubevisionv1alpha1.RoleReadonly),
		}
	case len(g.absent) > 0:
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonNamespaceNotFound, "there is no namespace " +
			strings.Join(g.absent, ", ")}
	default:
		return g.applied(b)
	}
}

func (g *grant) applied(b *kubevisionv1alpha1.KubeVisionRoleBinding) verdict {
	var protected []string
	for _, n := range g.namespaces {
		if n.protected {
			protected = append(protected, n.name)
		}
	}
	if len(protected) == 0 || !bindings.SparesProtected(b.Spec.RoleRef) {
		return verdict{metav1.ConditionTrue, kubevisionv1alpha1.ReasonApplied, ""}
	}
	return verdict{metav1.ConditionTrue, kubevisionv1alpha1.ReasonNamespaceProtected,
		"the role is readonly in protected namespaces: " + strings.Join(protected, ", ")}
}

func failureVerdict(err error) verdict {
	switch {
	case errors.Is(err, errRevocation):
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonRevocationFailed, err.Error()}
	case errors.Is(err, apply.ErrForeign):
		return verdict{
			metav1.ConditionFalse, kubevisionv1alpha1.ReasonNameConflict,
			err.Error() + "; rename the binding, or delete that object",
		}
	default:
		return verdict{metav1.ConditionFalse, kubevisionv1alpha1.ReasonApplyFailed, err.Error()}
	}
}

func statusRoleName(b *kubevisionv1alpha1.KubeVisionRoleBinding) string {
	if b.Spec.Namespaces == nil {
		return bindings.WholeClusterRole(b.Spec.RoleRef) // the ClusterRoleBinding refers to it
	}
	return bindings.ClusterRole(b.Spec.RoleRef) // RoleBindings in namespaces that are not protected refer to it
}

// describe writes the number of namespaces with a RoleBinding to the status s. If the binding has spec.namespaces, it
// also writes the names of these namespaces.
func (g *grant) describe(b *kubevisionv1alpha1.KubeVisionRoleBinding, s *kubevisionv1alpha1.RoleBindingClusterStatus) {
	if b.Spec.Namespaces == nil && !bindings.SparesProtected(b.Spec.RoleRef) {
		return // the binding needs no RoleBindings
	}
	s.NamespaceCount = new(int32(min(len(g.namespaces), 1<<30)))
	if b.Spec.Namespaces == nil {
		return // the binding has RoleBindings in nearly all namespaces
	}
	for _, n := range g.namespaces[:min(len(g.namespaces), maxNamespaces)] {
		s.Namespaces = append(s.Namespaces, n.name)
	}
}

const maxSummary = 60

const (
	// maxNamespaces bounds the number of namespace names per cluster in the status. The schema has the same limit.
	maxNamespaces = 256
	// maxNamesBytes bounds the total size of the namespace names of all clusters in the status, in bytes. etcd rejects
	// objects of more than 1.5 MiB, and managedFields repeat the names.
	maxNamesBytes = 256 << 10
	// maxMessageBytes bounds the total size of the messages of all clusters in the status, in bytes. etcd rejects
	// objects of more than 1.5 MiB.
	maxMessageBytes = 256 << 10
)

// summary returns the values of the columns that kubectl prints.
func summary(b *kubevisionv1alpha1.KubeVisionRoleBinding) *kubevisionv1alpha1.RoleBindingSummary {
	subjects := make([]string, 0, len(b.Spec.Subjects))
	for _, s := range b.Spec.Subjects {
		subjects = append(subjects, fmt.Sprintf("%s/%s", s.Kind, s.Name))
	}
	out := &kubevisionv1alpha1.RoleBindingSummary{
		Subjects:   shorten(strings.Join(subjects, ",")),
		Clusters:   targets(b.Spec.Clusters.Names, b.Spec.Clusters.Selector),
		Namespaces: "<all>",
	}
	if n := b.Spec.Namespaces; n != nil {
		out.Namespaces = targets(n.Names, n.Selector)
	}
	return out
}

func targets(namesOf []string, selector *metav1.LabelSelector) string {
	if selector == nil {
		return shorten(strings.Join(namesOf, ","))
	}
	return shorten(cmp.Or(strings.TrimPrefix(metav1.FormatLabelSelector(selector), "<none>"), "<all>"))
}

func shorten(s string) string {
	if len(s) <= maxSummary {
		return s
	}
	return s[:maxSummary-3] + "..."
}
