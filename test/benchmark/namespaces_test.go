// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

const (
	manyNamespaces       = 1000
	wholeClusterBindings = 50
)

// BenchmarkWholeClusterBindings measures the cost of many KubeVisionRoleBindings that grant the role dev in a whole
// cluster with many namespaces. In each namespace, KubeVision creates one RoleBinding for each KubeVisionRoleBinding.
func BenchmarkWholeClusterBindings(b *testing.B) {
	set().HostCluster(b, host)
	pid := env.KubeVision.ControllerManager().PID()
	makeNamespaces(b)
	begun := readMemory(b, pid)
	forgetPeak(b, pid)
	b.Cleanup(func() { removeBindings(b) })
	b.ResetTimer()
	var all []*kubevisionv1alpha1.KubeVisionRoleBinding
	since := time.Now()
	for b.Loop() {
		for range wholeClusterBindings {
			all = append(all, bindEverywhere(b))
		}
		for _, r := range all {
			awaitObserved(b, r)
		}
	}
	b.ReportMetric(0, "ns/op") // the benchmark runs once
	b.ReportMetric(time.Since(since).Seconds(), "ready-s")
	b.ReportMetric(float64(countRoleBindings(b)), "rolebindings")
	after := readMemory(b, pid)
	b.ReportMetric(begun.resident, "MiB-before")
	b.ReportMetric(after.resident, "MiB-after")
	b.ReportMetric(after.peak, "MiB-peak")
	one := all[0]
	b.ReportMetric(seconds(func() {
		changeSubjects(b, one, "joins")
		awaitObserved(b, one)
	}), "add-subject-s")
	since = time.Now()
	changeSubjects(b, one)
	awaitDenied(b, "joins")
	b.ReportMetric(time.Since(since).Seconds(), "remove-subject-denied-s")
	awaitObserved(b, one)
	b.ReportMetric(time.Since(since).Seconds(), "remove-subject-s")
	b.ReportMetric(seconds(func() { awaitNewNamespace(b) }), "new-namespace-s")
	b.ReportMetric(seconds(func() { protectNamespace(b) }), "protect-namespace-s")

	changeSubjects(b, one, "joins")
	awaitObserved(b, one)
	for range 5 { // creates grants that are in progress during the measurement
		all = append(all, bindEverywhere(b))
	}
	since = time.Now()
	changeSubjects(b, one)
	awaitDenied(b, "joins")
	b.ReportMetric(time.Since(since).Seconds(), "busy-remove-subject-denied-s")
	for _, r := range all {
		awaitObserved(b, r)
	}
	b.ReportMetric(time.Since(since).Seconds(), "busy-ready-s")

	if err := env.KubeVision.ControllerManager().Restart(b.Context()); err != nil {
		b.Fatal(err)
	}
	time.Sleep(calm)
	b.ReportMetric(readMemory(b, env.KubeVision.ControllerManager().PID()).peak, "MiB-peak-after-restart")
}

func seconds(do func()) float64 {
	begun := time.Now()
	do()
	return time.Since(begun).Seconds()
}

func makeNamespaces(b *testing.B) {
	b.Helper()
	err := fanout.Each(b.Context(), manyNamespaces, 8, func(ctx context.Context, i int) error {
		return env.Client.Create(ctx,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("many-%04d", i)}})
	})
	if err != nil {
		b.Fatal(err)
	}
}

func bindEverywhere(b *testing.B) *kubevisionv1alpha1.KubeVisionRoleBinding {
	b.Helper()
	name := fixture.Name("everywhere")
	r := &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{benchmarkLabel: ""}},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: []kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: name}},
			RoleRef:  kubevisionv1alpha1.RoleReference{Name: kubevisionv1alpha1.RoleDev},
			Clusters: kubevisionv1alpha1.ClusterTargets{Names: []string{host}},
		},
	}
	if err := env.Client.Create(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	return r
}

func awaitObserved(b *testing.B, r *kubevisionv1alpha1.KubeVisionRoleBinding) {
	b.Helper()
	if err := localcluster.Poll(b.Context(), convergence, "wait for "+r.Name, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(r), r); err != nil {
			return fmt.Errorf("reading the binding: %w", err)
		}
		ready := meta.FindStatusCondition(r.Status.Conditions, kubevisionv1alpha1.ReadyCondition)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != r.Generation {
			return fmt.Errorf("it is not ready: %v", ready)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}

func changeSubjects(b *testing.B, r *kubevisionv1alpha1.KubeVisionRoleBinding, users ...string) {
	b.Helper()
	before := r.DeepCopy()
	r.Spec.Subjects = r.Spec.Subjects[:1:1]
	for _, u := range users {
		r.Spec.Subjects = append(r.Spec.Subjects,
			kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectUser, Name: u})
	}
	if err := env.Client.Patch(b.Context(), r, client.MergeFrom(before)); err != nil {
		b.Fatal(err)
	}
}

func awaitDenied(b *testing.B, user string) {
	b.Helper()
	if err := localcluster.Poll(b.Context(), convergence, "wait for the end of a right",
		func(ctx context.Context) error {
			for i := range manyNamespaces {
				review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
					User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
						// The role dev grants this right.
						Verb: "create", Resource: "pods", Namespace: fmt.Sprintf("many-%04d", i),
					},
				}}
				if err := env.Client.Create(ctx, review); err != nil {
					return fmt.Errorf("reviewing access: %w", err)
				}
				if review.Status.Allowed {
					return errors.New("the right still exists")
				}
			}
			return nil
		}); err != nil {
		b.Fatal(err)
	}
}

func countRoleBindings(b *testing.B) int {
	b.Helper()
	var all rbacv1.RoleBindingList
	if err := env.Client.List(b.Context(), &all, client.HasLabels{"kubevision.io/role-binding"}); err != nil {
		b.Fatal(err)
	}
	return len(all.Items)
}

func awaitRoleBindings(b *testing.B, namespace string, want int) {
	b.Helper()
	if err := localcluster.Poll(b.Context(), convergence, "wait for the RoleBindings of a namespace",
		func(ctx context.Context) error {
			var all rbacv1.RoleBindingList
			err := env.Client.List(ctx, &all, client.InNamespace(namespace),
				client.HasLabels{"kubevision.io/role-binding"})
			if err != nil {
				return fmt.Errorf("listing role bindings: %w", err)
			}
			if len(all.Items) != want {
				return fmt.Errorf("%d are there", len(all.Items))
			}
			return nil
		}); err != nil {
		b.Fatal(err)
	}
}

func awaitNewNamespace(b *testing.B) {
	b.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("new")}}
	if err := env.Client.Create(b.Context(), n); err != nil {
		b.Fatal(err)
	}
	awaitRoleBindings(b, n.Name, wholeClusterBindings)
}

func protectNamespace(b *testing.B) {
	b.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "many-0500"}}
	protected := client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"kubevision.io/protected":"true"}}}`))
	if err := env.Client.Patch(b.Context(), n, protected); err != nil {
		b.Fatal(err)
	}
	awaitRoleBindings(b, n.Name, 0)
}
