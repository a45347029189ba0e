// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

func TestUserThatAppearsLater(t *testing.T) {
	guard(t)
	host(t)
	u := userObject("")
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	c := awaitNotReady(t, b, kubevisionv1alpha1.ReasonSubjectNotFound)
	if !strings.Contains(c.Message, u.Name) {
		t.Errorf("message %q does not name the user", c.Message)
	}
	awaitCondition(t, b, kubevisionv1alpha1.RoleBindingSubjectsCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonSubjectNotFound)
	awaitMade(t, b)
	staysNotReady(t, b, kubevisionv1alpha1.ReasonSubjectNotFound)
	create(t, u)
	awaitReady(t, b)
	awaitMade(t, b, inWholeCluster(b, readonly, user(u.Name)), using(b, hostName, user(u.Name)))
}

func TestClusterThatAppearsLater(t *testing.T) {
	guard(t)
	noHost(t)
	u := newUser(t, "")
	c := hostObject(unique("later"))
	b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	b.Spec.Clusters.Names = []string{c.Name}
	create(t, b)
	staysNotReady(t, b, kubevisionv1alpha1.ReasonClusterNotFound)
	awaitMade(t, b)
	create(t, c)
	awaitReady(t, b)
	awaitMade(t, b, inWholeCluster(b, readonly, user(u.Name)), using(b, c.Name, user(u.Name)))
	remove(t, c)
	awaitNotReady(t, b, kubevisionv1alpha1.ReasonClusterNotFound)
	awaitMade(t, b)
}

func TestClustersByLabel(t *testing.T) {
	guard(t)
	noHost(t)
	u := newUser(t, "")
	label := map[string]string{unique("region"): "eu"}
	b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{MatchLabels: label}}
	create(t, b)
	staysNotReady(t, b, kubevisionv1alpha1.ReasonNoClusterMatches)
	awaitMade(t, b)

	one, two := hostObject(unique("one")), unreachableCluster(t)
	one.Labels, two.Labels = label, label
	create(t, one)
	awaitReady(t, b)
	create(t, two)
	both := strings.Join(sorted(one.Name, two.Name), ",")
	awaitMade(t, b, inWholeCluster(b, readonly, user(u.Name)), using(b, both, user(u.Name)))
	change(t, one, func(c *kubevisionv1alpha1.KubeVisionCluster) { c.Labels = nil })
	awaitMade(t, b, using(b, two.Name, user(u.Name)))
}

func TestEveryClusterIsTheOnlyUseWithoutNames(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{}}
	create(t, b)
	awaitReady(t, b)
	awaitMade(t, b, inWholeCluster(b, readonly, user(u.Name)), using(b, "*", user(u.Name)))

	var roles rbacv1.ClusterRoleList
	if err := env.Client.List(t.Context(), &roles); err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{"kubevision:use:" + b.Name: true, "kubevision:use:admin": true}
	for i := range roles.Items {
		for _, rule := range roles.Items[i].Rules {
			if slices.Contains(rule.Verbs, "use") && slices.Contains(rule.Resources, "kubevisionclusters") &&
				len(rule.ResourceNames) == 0 && !allowed[roles.Items[i].Name] {
				t.Errorf("ClusterRole %s allows the use of every cluster: %+v", roles.Items[i].Name, rule)
			}
		}
	}
}

func TestClusterWithoutConnection(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	member := unreachableCluster(t)
	create(t, member)
	b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	b.Spec.Clusters.Names = []string{member.Name}
	create(t, b)
	awaitNotReady(t, b, kubevisionv1alpha1.ReasonNotConnected)
	awaitMade(t, b, using(b, member.Name, user(u.Name)))

	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Clusters.Names = []string{member.Name, hostName}
	})
	awaitMade(t, b, inWholeCluster(b, readonly, user(u.Name)),
		using(b, strings.Join(sorted(member.Name, hostName), ","), user(u.Name)))
	awaitReady(t, b)
}

// TestUnreachableClusterHoldsUpNoOther verifies that a KubeVisionRoleBinding that selects several clusters stays Ready
// although one of the clusters is unreachable. A separate condition, a count in the status, an event and a metric
// report the unreachable cluster.
func TestUnreachableClusterHoldsUpNoOther(t *testing.T) {
	guard(t)
	host(t)
	m, u, label := newMetrics(t), newUser(t, ""), map[string]string{unique("region"): "eu"}
	const metric = "kubevision_rolebinding_unreachable"
	before, err := m.read(t.Context(), metric)
	if err != nil {
		t.Fatal(err)
	}
	b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "no-such",
			Operator: metav1.LabelSelectorOpDoesNotExist}},
	}}
	create(t, b)
	awaitReady(t, b)
	const condition = kubevisionv1alpha1.RoleBindingClustersCondition
	awaitCondition(t, b, condition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonConnected)

	gone := unreachableCluster(t)
	gone.Labels = label
	create(t, gone)
	c := awaitCondition(t, b, condition, metav1.ConditionFalse, kubevisionv1alpha1.ReasonNotConnected)
	if !strings.Contains(c.Message, gone.Name) {
		t.Errorf("message %q does not name the cluster", c.Message)
	}
	awaitReady(t, b)
	const applied = kubevisionv1alpha1.RoleBindingAppliedCondition
	awaitCondition(t, b, applied, metav1.ConditionTrue, kubevisionv1alpha1.ReasonApplied)
	if n := b.Status.UnreachableClusters; n == nil || *n != 1 {
		t.Errorf("the number of clusters that cannot be reached is %v", n)
	}
	eventually(t, soon, "wait for the metric", func(ctx context.Context) error {
		got, err := m.read(ctx, metric)
		if err == nil && got <= before { // other bindings of every cluster are counted, too
			return fmt.Errorf("%s is %g as before", metric, got)
		}
		return err
	})
	awaitEvent(t, b.Name, "Warning", kubevisionv1alpha1.ReasonNotConnected, "Reconcile")
	if table := kubectl(t, "get", "kvrb", b.Name); !strings.Contains(table, "UNREACHABLE") {
		t.Errorf("kubectl shows\n%s", table)
	}

	only := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	only.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{MatchLabels: label}}
	create(t, only)
	awaitNotReady(t, only, kubevisionv1alpha1.ReasonNotConnected) // the binding is applied to no cluster

	remove(t, gone)
	awaitCondition(t, b, condition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonConnected)
	awaitEvent(t, b.Name, "Normal", kubevisionv1alpha1.ReasonConnected, "Reconcile")
	remove(t, only)
	eventually(t, soon, "wait for the metric", m.is(metric, before))
}

func TestSummary(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	b := hostBinding(kubevisionv1alpha1.RoleDev, grants.Labelled(map[string]string{"team": "web"}),
		grants.ToUser(u.Name), grants.ToGroup("web"))
	b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{}}
	create(t, b)
	awaitReady(t, b)
	want := kubevisionv1alpha1.RoleBindingSummary{Subjects: "KubeVisionUser/" + u.Name + ",KubeVisionGroup/web",
		Clusters: "<all>", Namespaces: "team=web"}
	if b.Status.Summary == nil || *b.Status.Summary != want {
		t.Errorf("the summary is %+v, want %+v", b.Status.Summary, want)
	}
}
