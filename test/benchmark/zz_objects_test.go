// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/objectquota"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// BenchmarkObjects creates the maximum number of users, clusters and role bindings. It measures the memory of the
// programs, and the duration of the admission policies that read all bindings. It runs last because it does not delete
// the objects.
func BenchmarkObjects(b *testing.B) {
	set().HostCluster(b, host)
	limits := objectquota.DefaultLimits()
	labels := map[string]string{benchmarkLabel: ""}
	each := func(count int, object func(name string) client.Object) {
		if err := fanout.Each(b.Context(), count, 8, func(ctx context.Context, i int) error {
			o := object(fmt.Sprintf("object-%05d", i))
			o.SetLabels(labels)
			return env.Client.Create(ctx, o)
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		each(limits.Users-10, func(name string) client.Object {
			u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: name}}
			u.Spec.DisplayName, u.Spec.Email = "Somebody of the team", name+"@example.com"
			u.Spec.Groups = []string{"web-team", name}
			return u
		})
		each(limits.Clusters-10, func(name string) client.Object {
			c := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
			c.Spec.KubeconfigSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: name}
			return c
		})
		each(limits.RoleBindings-10, func(name string) client.Object {
			r := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
			r.Spec.Subjects = []kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup,
				Name: name}}
			r.Spec.RoleRef.Name, r.Spec.Clusters.Names = kubevisionv1alpha1.RoleReadonly, []string{host}
			return r
		})
	}
	b.ReportMetric(0, "ns/op") // the benchmark runs once
	last := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	last.Name = fmt.Sprintf("object-%05d", limits.RoleBindings-11)
	awaitObserved(b, last)
	reportObjects(b)
	b.ReportMetric(seconds(func() {
		u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("one-more")}}
		if err := env.Client.Create(b.Context(), u, client.DryRunAll); err != nil {
			b.Error(err)
		}
	}), "one-user-s")
	if err := env.KubeVision.ControllerManager().Restart(b.Context()); err != nil {
		b.Fatal(err)
	}
	time.Sleep(calm)
	b.ReportMetric(readMemory(b, env.KubeVision.ControllerManager().PID()).peak, "MiB-manager-peak-after-restart")
}

func reportObjects(b *testing.B) {
	b.Helper()
	manager := readMemory(b, env.KubeVision.ControllerManager().PID())
	server := readMemory(b, env.KubeVision.APIServer().PID())
	b.ReportMetric(manager.resident, "MiB-manager")
	b.ReportMetric(manager.peak, "MiB-manager-peak")
	b.ReportMetric(server.resident, "MiB-server")
	b.ReportMetric(server.peak, "MiB-server-peak")
}
