// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

const (
	// registrations is the number of KubeVisionClusters that register the same cluster. KubeVision probes each
	// KubeVisionCluster like a separate cluster, but creates the objects of a role binding on the cluster only once.
	registrations = 20
	manyBindings  = 1000
	// convergence bounds each wait for the controllers.
	convergence = 15 * time.Minute
	// calm is a period without changes, in which the calls of the controllers are counted.
	calm = 30 * time.Second

	benchmarkLabel = "benchmark"
)

// BenchmarkConvergence creates many KubeVisionRoleBindings for many registrations of one member cluster. It reports the
// time until all bindings are Ready. For the member cluster, and for the cluster on which KubeVision runs, it also
// reports the requests to kube-apiserver:
//
//   - the reads and the writes for each binding
//   - the writes per minute in a period without changes
//
// Each binding requires at least one write of each of the following:
//
//   - a ClusterRoleBinding on the member cluster
//   - a ClusterRole and a ClusterRoleBinding on the cluster on which KubeVision runs, which grant the verb "use" on the
//     registrations
//   - the finalizer of the binding
//   - the status of the binding
func BenchmarkConvergence(b *testing.B) {
	member, err := env.StartCluster(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for range registrations {
		registerMember(b, member.Config())
	}
	planes := map[string]*rest.Config{"host": env.Cluster.Config(), "member": member.Config()}
	before := map[string]calls{}
	for name, config := range planes {
		before[name] = countCalls(b, config)
	}
	b.Cleanup(func() { removeBindings(b) })
	begun := time.Now()
	for b.Loop() {
		for range manyBindings {
			makeBinding(b)
		}
		awaitBindings(b)
	}
	b.ReportMetric(0, "ns/op") // the benchmark runs once
	b.ReportMetric(time.Since(begun).Seconds(), "converged-s")
	settled := map[string]calls{}
	for name, config := range planes {
		settled[name] = countCalls(b, config)
		made := settled[name].since(before[name])
		b.ReportMetric(made.writes/manyBindings, name+"-writes/binding")
		b.ReportMetric(made.reads/manyBindings, name+"-reads/binding")
	}
	time.Sleep(calm)
	for name, config := range planes {
		b.ReportMetric(countCalls(b, config).since(settled[name]).writes/calm.Minutes(), name+"-calm-writes/min")
	}
}

func registerMember(b *testing.B, config *rest.Config) {
	b.Helper()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		b.Fatal(err)
	}
	name := fixture.Name("member")
	set().Create(b, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name},
		Data:       map[string][]byte{"kubeconfig": text},
	})
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{benchmarkLabel: ""}},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: name}},
	}
	set().Create(b, c)
	fixture.Eventually(b, "wait for cluster "+name, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return fmt.Errorf("reading the cluster: %w", err)
		}
		if !meta.IsStatusConditionTrue(c.Status.Conditions, kubevisionv1alpha1.ReadyCondition) {
			return errors.New("it is not ready")
		}
		return nil
	})
}

func makeBinding(b *testing.B) {
	b.Helper()
	name := fixture.Name("many")
	if err := env.Client.Create(b.Context(), &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{benchmarkLabel: ""}},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: []kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: name}},
			RoleRef:  kubevisionv1alpha1.RoleReference{Name: kubevisionv1alpha1.RoleReadonly},
			Clusters: kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: benchmarkLabel,
					Operator: metav1.LabelSelectorOpExists}},
			}},
		},
	}); err != nil {
		b.Fatal(err)
	}
}

func awaitBindings(b *testing.B) {
	b.Helper()
	if err := localcluster.Poll(b.Context(), convergence, "wait for all bindings", func(ctx context.Context) error {
		var all kubevisionv1alpha1.KubeVisionRoleBindingList
		if err := env.Client.List(ctx, &all, client.HasLabels{benchmarkLabel}); err != nil {
			return fmt.Errorf("listing role bindings: %w", err)
		}
		waiting := 0
		for i := range all.Items {
			if s := &all.Items[i].Status; !meta.IsStatusConditionTrue(s.Conditions,
				kubevisionv1alpha1.ReadyCondition) || len(s.Clusters) != registrations {
				waiting++
			}
		}
		if waiting > 0 {
			return fmt.Errorf("%d bindings are not in force", waiting)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}

func removeBindings(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), convergence)
	defer cancel()
	if err := env.Client.DeleteAllOf(ctx, &kubevisionv1alpha1.KubeVisionRoleBinding{},
		client.HasLabels{benchmarkLabel}); err != nil {
		b.Error(err)
	}
	if err := localcluster.Poll(ctx, convergence, "wait for the end of all bindings", func(ctx context.Context) error {
		var all kubevisionv1alpha1.KubeVisionRoleBindingList
		if err := env.Client.List(ctx, &all, client.HasLabels{benchmarkLabel}); err != nil {
			return fmt.Errorf("listing role bindings: %w", err)
		}
		if len(all.Items) > 0 {
			return fmt.Errorf("%d are left", len(all.Items))
		}
		return nil
	}); err != nil {
		b.Error(err)
	}
}

// calls contains the numbers of requests to a kube-apiserver for RBAC objects and KubeVision objects. Watches do not
// count.
type calls struct{ reads, writes float64 }

func (c calls) since(before calls) calls {
	return calls{c.reads - before.reads, c.writes - before.writes}
}

func countCalls(b *testing.B, config *rest.Config) calls {
	b.Helper()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	text, err := kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		b.Fatal(err)
	}
	var out calls
	for _, m := range families["apiserver_request_total"].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if g := labels["group"]; g != "rbac.authorization.k8s.io" && g != kubevisionv1alpha1.GroupName {
			continue
		}
		switch labels["verb"] {
		case "GET", "LIST":
			out.reads += m.GetCounter().GetValue()
		case "POST", "PUT", "PATCH", "APPLY", "DELETE":
			out.writes += m.GetCounter().GetValue()
		}
	}
	return out
}
