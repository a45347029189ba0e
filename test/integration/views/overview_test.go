// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package views_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

func event(tb testing.TB, namespace, name string, at time.Time) {
	tb.Helper()
	set().Create(tb, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: name},
		Type:           "Warning", Reason: "Test", Message: "of " + name, LastTimestamp: metav1.NewTime(at),
	})
}

// TestOverviewLeavesOwnEventsOut verifies that the overview omits KubeVision's own events, which are frequent and do
// not describe the workloads of the cluster.
func TestOverviewLeavesOwnEventsOut(t *testing.T) {
	ns := set().Namespace(t, "news")
	all := newViewer(t, "admin")
	now := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	event(t, ns, "workload", now)
	for i := range 12 {
		set().Create(t, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("own-%02d", i)},
			InvolvedObject: corev1.ObjectReference{
				APIVersion: "kubevision.io/v1alpha1", Kind: "KubeVisionUser", Namespace: ns, Name: "alice",
			},
			Type: "Warning", Reason: "LoginFailed", Message: "from 192.0.2.1",
			LastTimestamp: metav1.NewTime(now.Add(time.Duration(i+1) * time.Minute)),
		})
	}
	got, _ := read[dashboardv1alpha1.Overview](t, all, onHost+"/overview")
	if len(got.RecentEvents) == 0 || got.RecentEvents[0].ObjectName != "workload" {
		t.Errorf("the newest events are %+v", got.RecentEvents)
	}
	for _, e := range got.RecentEvents {
		if strings.HasPrefix(e.ObjectKind, "KubeVision") {
			t.Errorf("an own event is shown: %+v", e)
		}
	}
}

func TestOverviewCountsWhatMayBeListed(t *testing.T) {
	w := newWorld(t)
	now := time.Now().Add(time.Hour).Truncate(time.Second)
	for i := range 12 {
		event(t, w.mine, fmt.Sprintf("event-%02d", i), now.Add(time.Duration(i)*time.Second))
	}
	event(t, w.theirs, w.hidden, now.Add(time.Hour))
	limited, all := newViewer(t, "dev", w.mine), newViewer(t, "readonly")

	e := limited.get(t, onHost+"/overview")
	w.check(t, "the overview", e)
	got, meta := read[dashboardv1alpha1.Overview](t, limited, onHost+"/overview")
	if got.Pods != 1 || got.PodStatusDistribution.Pending != 1 || got.Services != 1 || got.Nodes != 0 ||
		got.Namespaces != 1 || got.ActiveNamespaces != 1 {
		t.Errorf("the limited user sees %+v", got)
	}
	if len(meta.Warnings) > 0 || !meta.Partial || !slices.Equal(meta.Namespaces, []string{w.mine}) {
		t.Errorf("meta is %+v", meta)
	}
	if len(got.RecentEvents) != 10 {
		t.Fatalf("events are %+v", got.RecentEvents)
	}
	for i, e := range got.RecentEvents {
		if want := fmt.Sprintf("event-%02d", 11-i); e.ObjectName != want || e.Namespace != w.mine ||
			e.Type != "Warning" || e.Timestamp.IsZero() {
			t.Errorf("event %d is %+v, want %s", i, e, want)
		}
	}
	more, meta := read[dashboardv1alpha1.Overview](t, all, onHost+"/overview")
	if more.Pods < 2 || more.Services < 3 || more.Namespaces < 5 || more.RecentEvents[0].ObjectName != w.hidden ||
		meta.Partial {
		t.Errorf("the other sees %+v, %+v", more, meta)
	}
	fixture.Eventually(t, "count all Pods", func(context.Context) error { // those of earlier tests are being deleted
		more, _ := read[dashboardv1alpha1.Overview](t, all, onHost+"/overview")
		if n := pods(t); more.Pods != n {
			return fmt.Errorf("there are %d Pods, and the overview counts %d", n, more.Pods)
		}
		return nil
	})
}

func pods(tb testing.TB) int64 {
	tb.Helper()
	var all corev1.PodList
	if err := env.Client.List(tb.Context(), &all); err != nil {
		tb.Fatal(err)
	}
	return int64(len(all.Items))
}

// TestLargePodInTheOverview verifies that the overview omits a Pod whose API object is too large. The response contains
// a warning for this Pod, and counts all other Pods.
func TestLargePodInTheOverview(t *testing.T) {
	ns := set().Namespace(t, "large")
	all := newViewer(t, "readonly")
	for name, args := range map[string]int{"small": 1, "large": 200_000} {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "main", Image: "main", Args: make([]string, args),
			}}},
		}
		fixture.Eventually(t, "create the Pod "+name, func(ctx context.Context) error {
			return env.Client.Create(ctx, pod)
		})
		set().Later(t, pod)
	}
	want := fmt.Sprintf("pods: objects are omitted because they are too large: %s/large", ns)
	fixture.Eventually(t, "see both Pods", func(ctx context.Context) error {
		response, err := all.client.Do(ctx, all.asks(onHost+"/overview"))
		if err != nil {
			return err
		}
		e, err := response.Parse()
		if err != nil {
			return err
		}
		got, err := parse[dashboardv1alpha1.Overview](response)
		if err != nil {
			return err
		}
		if meta := metaOf(t, e); got.Pods != pods(t)-1 || !slices.Equal(meta.Warnings, []string{want}) {
			return fmt.Errorf("%d pods of %d: %q", got.Pods, pods(t), meta.Warnings)
		}
		return nil
	})
	for _, path := range []string{"/search?q=large", "/namespaces/" + ns + "/topology"} {
		if _, meta := read[any](t, all, onHost+path); len(meta.Warnings) > 0 {
			t.Errorf("%s needs only a part of the Pod: %q", path, meta.Warnings)
		}
	}
}

// TestOverviewOfEmptyNamespace verifies that an empty namespace adds no objects to the overview of a user.
func TestOverviewOfEmptyNamespace(t *testing.T) {
	w := newWorld(t)
	nobody := newViewer(t, "dev", w.mine)
	empty := set().Namespace(t, "empty")
	other := newViewer(t, "dev", empty)
	got, meta := read[dashboardv1alpha1.Overview](t, other, onHost+"/overview")
	if got.Pods != 0 || got.Services != 0 || got.RecentEvents == nil || !meta.Partial || got.Namespaces != 1 {
		t.Errorf("of an empty namespace: %+v, %+v", got, meta)
	}
	nobody.bind(t, "dev", empty)
	becomes(t, nobody, onHost+"/overview", func(got dashboardv1alpha1.Overview) error {
		if got.Namespaces != 2 || got.Pods != 1 {
			return fmt.Errorf("of two namespaces: %+v", got)
		}
		return nil
	})
	both, _ := read[dashboardv1alpha1.SearchResults](t, nobody, onHost+"/search?q="+w.mark)
	if both.Total != 3 {
		t.Errorf("found %+v", both)
	}
}

func TestOverviewResources(t *testing.T) {
	mine := set().Namespace(t, "mine")
	name := fixture.Name("node")
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	set().Create(t, node)
	node.Status = corev1.NodeStatus{
		Allocatable: corev1.ResourceList{"cpu": quantity("2"), "memory": quantity("1Gi")},
		Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}
	if err := env.Client.Status().Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	limited, all := newViewer(t, "dev", mine), newViewer(t, "readonly")
	fixture.Eventually(t, "make a Pod that asks for something", wantingPod(mine))
	becomes(t, all, onHost+"/overview", func(got dashboardv1alpha1.Overview) error {
		r := got.Resources
		if got.Nodes < 1 || got.ReadyNodes < 1 || r.CPU.Allocatable < 2000 || r.Memory.Allocatable < 1<<30 ||
			r.CPU.Requests < 250 || r.MetricsAvailable {
			return fmt.Errorf("got %+v", got)
		}
		return nil
	})
	got, _ := read[dashboardv1alpha1.Overview](t, limited, onHost+"/overview")
	want := dashboardv1alpha1.OverviewResources{
		CPU:    dashboardv1alpha1.OverviewResource{Requests: 250, Limits: 500},
		Memory: dashboardv1alpha1.OverviewResource{Requests: 64 << 20},
	}
	if got.Resources != want {
		t.Errorf("the limited user sees %+v", got.Resources)
	}
	serveMetrics(t, mine, name)
	measured := func(cpu, memory int64) func(dashboardv1alpha1.Overview) error {
		return func(got dashboardv1alpha1.Overview) error {
			if r := got.Resources; !r.MetricsAvailable || r.CPU.Usage != cpu || r.Memory.Usage != memory {
				return fmt.Errorf("got %+v", r)
			}
			return nil
		}
	}
	all.post(t, onHost+"/crds/refresh", "")
	becomes(t, all, onHost+"/overview", measured(1500, 512<<20))
	becomes(t, limited, onHost+"/overview", measured(100, 32<<20))
}

// TestMetricsBesideThePods verifies that a list of Pods contains metrics if the request asks for them.
func TestMetricsBesideThePods(t *testing.T) {
	mine := set().Namespace(t, "mine")
	limited := newViewer(t, "dev", mine)
	fixture.Eventually(t, "create a Pod with metrics", wantingPod(mine))
	type pod struct {
		MetricsStatus string `json:"metricsStatus"`
		Metrics       *struct {
			CPUMilli        int64 `json:"cpuMilli"`
			CPURequestMilli int64 `json:"cpuRequestMilli"`
			MemoryBytes     int64 `json:"memoryBytes"`
			Containers      []struct{ Name string }
		}
	}
	path := onHost + "/namespaces/" + mine + "/resources/pods"
	if got, _ := read[[]pod](t, limited, path); len(got) != 1 || got[0].MetricsStatus != "" {
		t.Errorf("without the parameter: %+v", got)
	}
	node := fixture.Name("node")
	set().Create(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
	serveMetrics(t, mine, node)
	check := func(p pod) error {
		if p.MetricsStatus != "available" || p.Metrics == nil || p.Metrics.CPUMilli == 0 ||
			p.Metrics.CPURequestMilli != 250 || len(p.Metrics.Containers) != 1 {
			return fmt.Errorf("got %+v", p)
		}
		return nil
	}
	for _, view := range []string{"", "&view=table"} {
		becomes(t, limited, path+"?includeMetrics=true"+view, func(got []pod) error { return check(got[0]) })
	}
	becomes(t, limited, path+"/wanting?includeMetrics=true", check)
	sortByUsage(t, limited, mine)
}

// sortByUsage verifies that Pods with metrics are sorted by their usage rather than their requests. Pods without a
// measurement are last.
func sortByUsage(t *testing.T, v *viewer, namespace string) {
	t.Helper()
	for name, asked := range map[string][2]string{"greedy": {"900m", "8Mi"}, "young": {"10m", "16Mi"}} {
		fixture.Eventually(t, "make Pod "+name, podThatWants(namespace, name, corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": quantity(asked[0]), "memory": quantity(asked[1])},
		}))
	}
	measure(t, namespace, "greedy", "10m", "64Mi")
	type pod struct {
		Metadata      struct{ Name string }
		MetricsStatus string `json:"metricsStatus"`
	}
	for query, want := range map[string]string{
		"sortBy=cpu":                                        "young wanting greedy",
		"sortBy=memory&order=desc":                          "wanting young greedy",
		"sortBy=cpu&includeMetrics=true":                    "greedy+ wanting+ young",
		"order=desc&sortBy=cpu&includeMetrics=true":         "wanting+ greedy+ young",
		"order=desc&sortBy=memory&includeMetrics=true":      "greedy+ wanting+ young",
		"order=desc&sortBy=cpu&includeMetrics=true&limit=1": "wanting+",
		"view=table&sortBy=memory&order=desc":               "wanting young greedy",
		"view=table&sortBy=cpu&includeMetrics=true":         "greedy+ wanting+ young",
	} {
		pods, _ := read[[]pod](t, v, onHost+"/namespaces/"+namespace+"/resources/pods?"+query)
		var got []string
		for _, p := range pods {
			name := p.Metadata.Name
			if p.MetricsStatus == "available" {
				name += "+"
			}
			got = append(got, name)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: got %s, want %s", query, text, want)
		}
	}
}
