// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func labelled(tb testing.TB, ns, name string, labels map[string]string, size int) {
	tb.Helper()
	set().Create(tb, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
		Data:       map[string]string{"size": fmt.Sprintf("%03d", size)},
	})
}

// TestSearchAndOrder verifies that a list can be searched and sorted, which the API of Kubernetes does not support.
func TestSearchAndOrder(t *testing.T) {
	ns := set().Namespace(t, "list")
	viewer := newPerson(t, "readonly", ns)
	test := map[string]string{"test": "list"}
	labelled(t, ns, "blue", test, 3)
	labelled(t, ns, "amber", test, 2)
	labelled(t, ns, "cyan", map[string]string{"test": "list", "Tint": "Blueish"}, 1)
	list := in(ns, "configmaps") + "?labelSelector=test%3Dlist"
	for name, tc := range map[string]struct {
		query string
		want  []string
	}{
		"a name":               {"&q=mbe", []string{"amber"}},
		"in any case":          {"&q=BLUE", []string{"blue", "cyan"}},
		"a label":              {"&q=tint%3D", []string{"cyan"}},
		"no value":             {"&q=003", nil},
		"by name":              {"&sortBy=name", []string{"amber", "blue", "cyan"}},
		"the opposite order":   {"&sortBy=name&order=desc", []string{"cyan", "blue", "amber"}},
		"by a field":           {"&sortBy=data.size", []string{"cyan", "amber", "blue"}},
		"by a field of few":    {"&sortBy=metadata.labels.Tint&order=desc", []string{"cyan", "amber", "blue"}},
		"the youngest":         {"&sortBy=metadata.resourceVersion&order=desc&limit=1", []string{"cyan"}},
		"of what was found":    {"&q=blue&sortBy=data.size", []string{"cyan", "blue"}},
		"as kubectl writes it": {"&sortBy=%7B.data.size%7D", []string{"cyan", "amber", "blue"}},
		"by a key in quotes":   {"&sortBy=data%5B'size'%5D", []string{"cyan", "amber", "blue"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := names(t, viewer.get(t, list+tc.query)); !slices.Equal(got, append([]string{}, tc.want...)) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	for query, field := range map[string]string{
		"sortBy=a..b": "sortBy", "sortBy=$": "sortBy", "sortBy=spec.none": "sortBy", "sortBy=restarts": "sortBy",
		"sortBy=metadata.labels": "sortBy", "order=up": "order", "sortBy=name&continue=rubbish": "continue",
		"includeMetrics=1": "includeMetrics",
	} {
		if e := viewer.get(t, in(ns, "configmaps")+"?"+query).Want(t, wire.Invalid); e.Meta.Field != field {
			t.Errorf("%s: the field is %q", query, e.Meta.Field)
		}
	}
}

// TestPages verifies that:
//   - The pages of a sorted list together contain each object once.
//   - Each page contains the total number of objects.
//   - The continue token of one list is rejected for another list.
func TestPages(t *testing.T) {
	ns, other := set().Namespace(t, "pages"), set().Namespace(t, "pages")
	viewer := newPerson(t, "readonly", ns, other)
	for i := range 5 {
		labelled(t, ns, fmt.Sprintf("c%d", i), map[string]string{"page": "1"}, 9-i)
	}
	list := in(ns, "configmaps") + "?limit=2&labelSelector=page&sortBy=data.size"
	var got []string
	next := ""
	for pages := 1; ; pages++ {
		e := viewer.get(t, list+"&continue="+url.QueryEscape(next))
		got = append(got, names(t, e)...)
		if e.Meta.Total == nil || *e.Meta.Total != 5 {
			t.Errorf("page %d: the total is %v", pages, e.Meta.Total)
		}
		if next = e.Meta.Continue; next == "" || pages > 5 {
			break
		}
		token := "&continue=" + url.QueryEscape(next)
		viewer.get(t, in(ns, "configmaps")+"?sortBy=name"+token).Want(t, wire.Invalid)
		viewer.get(t, strings.Replace(list, ns, other, 1)+token).Want(t, wire.Invalid)
		viewer.get(t, strings.Replace(list, "configmaps", "services", 1)+token).Want(t, wire.Invalid)
	}
	if want := []string{"c4", "c3", "c2", "c1", "c0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestAllNamespacesOfSomebodyWithTwo verifies a list of ConfigMaps across all namespaces for a user with rights in two
// namespaces. The list contains only the ConfigMaps in these two namespaces, and is marked as partial.
func TestAllNamespacesOfSomebodyWithTwo(t *testing.T) {
	one, two, foreign := set().Namespace(t, "one"), set().Namespace(t, "two"), set().Namespace(t, "foreign")
	viewer := newPerson(t, "readonly", one, two)
	for i, ns := range []string{one, two, foreign} {
		labelled(t, ns, fmt.Sprintf("match%d", i), map[string]string{"union": one}, i)
		labelled(t, ns, fmt.Sprintf("also%d", i), map[string]string{"union": one}, i)
	}
	list := "/resources/configmaps?labelSelector=union%3D" + one
	e := viewer.get(t, list)
	if got := names(t, e); !slices.Equal(got, []string{"also0", "match0", "also1", "match1"}) || e.Meta.Total == nil ||
		*e.Meta.Total != 4 {
		t.Errorf("got %v, total %v", got, e.Meta.Total)
	}
	if !e.Meta.Partial || !slices.Equal(e.Meta.Namespaces, []string{one, two}) {
		t.Errorf("partial %v, of %v", e.Meta.Partial, e.Meta.Namespaces)
	}
	first := viewer.get(t, list+"&limit=3")
	second := viewer.get(t, list+"&limit=3&continue="+url.QueryEscape(first.Meta.Continue))
	if got := append(names(t, first), names(t, second)...); !slices.Equal(got,
		[]string{"also0", "match0", "also1", "match1"}) || second.Meta.Continue != "" {
		t.Errorf("in pages: %v", got)
	}
	if got := names(t, viewer.get(t, list+"&sortBy=data.size&order=desc&q=match")); !slices.Equal(got,
		[]string{"match1", "match0"}) {
		t.Errorf("sorted: %v", got)
	}
	viewer.get(t, "/resources/configmaps?namespace="+foreign).Want(t, wire.NamespaceForbidden)
	viewer.get(t, "/resources/secrets").Want(t, wire.Forbidden)
	viewer.get(t, "/resources/nodes").Want(t, wire.Forbidden)
}

// TestOrderAsKubectl verifies the order of sorted lists:
//   - PersistentVolumeClaims are sorted by the value of the requested storage, for example 500Mi before 2Gi.
//   - Pods are sorted by the sum of the restarts, the CPU requests or the memory requests of all containers.
//   - Events of both API groups are sorted by the time of the last occurrence.
func TestOrderAsKubectl(t *testing.T) {
	ns := set().Namespace(t, "order")
	viewer := newPerson(t, "readonly", ns)
	for _, size := range []string{"10Mi", "2Gi", "500Mi", "8Gi", "900Ki"} {
		set().Create(t, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: strings.ToLower(size)},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{
					Requests: corev1.ResourceList{"storage": resource.MustParse(size)}},
			},
		})
	}
	for i, restarts := range []int32{10, 2, 0} {
		podWithRestarts(t, ns, fmt.Sprintf("p%d", i), restarts)
	}
	now := time.Now().Truncate(time.Second)
	for i, ago := range []time.Duration{time.Minute, time.Hour, time.Second} {
		createEvent(t, ns, fmt.Sprintf("e%d", i), now.Add(-ago))
	}
	for name, tc := range map[string]struct {
		query string
		want  []string
	}{
		"claims by their requests": {"persistentvolumeclaims?sortBy=spec.resources.requests.storage",
			[]string{"900ki", "10mi", "500mi", "2gi", "8gi"}},
		"the largest two": {"persistentvolumeclaims?limit=2&order=desc&sortBy=spec.resources.requests.storage",
			[]string{"8gi", "2gi"}},
		"Pods by restarts": {"pods?sortBy=restarts&order=desc", []string{"p0", "p1", "p2"}},
		"by the restarts of one container": {"pods?sortBy=.status.containerStatuses%5B1%5D.restartCount",
			[]string{"p2", "p1", "p0"}},
		"Pods by CPU":          {"pods?sortBy=cpu", []string{"p2", "p1", "p0"}},
		"Pods by memory":       {"pods?sortBy=memory&order=desc", []string{"p0", "p1", "p2"}},
		"a field of no object": {"pods?sortBy=status.startTime", []string{"p0", "p1", "p2"}},
		"Events by the last time": {"events?sortBy=lastSeen&order=desc&fieldSelector=reason%3DTested",
			[]string{"e2", "e0", "e1"}},
		"Events of the other API": {"events.events.k8s.io?sortBy=lastSeen&order=desc&fieldSelector=reason%3DTested",
			[]string{"e2", "e0", "e1"}},
		"Events, the oldest first": {"events?sortBy=lastSeen&limit=1&fieldSelector=reason%3DTested", []string{"e1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := names(t, viewer.get(t, in(ns, tc.query))); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	for _, query := range []string{
		"pods?sortBy=lastSeen", "events?sortBy=restarts", "services?sortBy=cpu", "pods?sortBy=spec.containers",
		"pods?sortBy=spec.nothing",
		"pods?sortBy=cpu&includeMetrics=true", "pods?sortBy=status.containerStatuses%5Bx%5D",
		"persistentvolumeclaims?sortBy=spec.resources.requests",
	} {
		if e := viewer.get(t, in(ns, query)).Want(t, wire.Invalid); e.Meta.Field != "sortBy" {
			t.Errorf("%s: the field is %q (%s)", query, e.Meta.Field, e.Message)
		}
	}
}

func podWithRestarts(tb testing.TB, ns, name string, restarts int32) {
	tb.Helper()
	wants := func(factor int64) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{
			"cpu":    *resource.NewMilliQuantity(int64(restarts)*factor*100, resource.DecimalSI),
			"memory": *resource.NewQuantity(int64(restarts)*factor<<20, resource.BinarySI),
		}}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "one", Image: "none", Resources: wants(1)}, {Name: "two", Image: "none", Resources: wants(2)},
		}},
	}
	// The creation is rejected until the namespace has its ServiceAccount.
	fixture.Eventually(tb, "make Pod "+name, func(ctx context.Context) error {
		return set().Client.Create(ctx, pod)
	})
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{
		{Name: "one", Image: "none", RestartCount: restarts}, {Name: "two", Image: "none", RestartCount: 2 * restarts},
	}
	if err := set().Client.Status().Update(tb.Context(), pod); err != nil {
		tb.Fatal(err)
	}
}

func createEvent(tb testing.TB, ns, name string, last time.Time) {
	tb.Helper()
	set().Create(tb, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Reason: "Tested", Type: corev1.EventTypeNormal,
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: ns, Name: name},
		FirstTimestamp: metav1.NewTime(last.Add(-2 * time.Hour)), LastTimestamp: metav1.NewTime(last),
	})
}
