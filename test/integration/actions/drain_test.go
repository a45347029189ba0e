// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type drained struct {
	Name      string
	Completed bool
	DryRun    bool
	Pods      []struct {
		Namespace, Name, Status, Reason string
		Code                            int
	}
}

func (d drained) status(name string) (status, reason string) {
	for _, p := range d.Pods {
		if p.Name == name {
			return p.Status, p.Reason
		}
	}
	return "", ""
}

func (d drained) want(t *testing.T, name, status, reason string) {
	t.Helper()
	if got, why := d.status(name); got != status || !strings.Contains(why, reason) {
		t.Errorf("pod %s is %q because %q, want %q because %q", name, got, why, status, reason)
	}
}

func node(t *testing.T) *corev1.Node {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("node")}}
	set().Create(t, n)
	return n
}

func place(t *testing.T, p *corev1.Pod, n *corev1.Node) {
	t.Helper()
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name},
		Target:     corev1.ObjectReference{Kind: "Node", Name: n.Name},
	}
	if err := env.Client.SubResource("binding").Create(t.Context(), p, binding); err != nil {
		t.Fatal(err)
	}
	markRunning(t, p)
}

func markRunning(t *testing.T, p *corev1.Pod) {
	t.Helper()
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	fixture.Eventually(t, "say that the Pod is running", func(ctx context.Context) error {
		found := &corev1.Pod{}
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(p), found); err != nil {
			return err
		}
		found.Status = p.Status
		return env.Client.Status().Update(ctx, found)
	})
}

func placedPods(t *testing.T, namespace string, n *corev1.Node, count int32) []corev1.Pod {
	t.Helper()
	deployment(t, namespace, "web", count)
	list := awaitPods(t, namespace, int(count))
	for i := range list {
		place(t, &list[i], n)
	}
	return list
}

func barePod(t *testing.T, namespace, name string, n *corev1.Node, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{NodeName: n.Name, Containers: []corev1.Container{{Name: "main", Image: "bare:1"}}},
	}
	change(p)
	fixture.Eventually(t, "make Pod "+name, func(ctx context.Context) error { return env.Client.Create(ctx, p) })
	markRunning(t, p)
	return p
}

// there returns true if a Pod exists and is not being deleted.
func there(t *testing.T, p *corev1.Pod) bool {
	t.Helper()
	err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(p), p)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil && p.DeletionTimestamp == nil
}

func (a actor) drain(t *testing.T, n *corev1.Node, code int, body string) (drained, string) {
	t.Helper()
	var d drained
	e := a.post(t, "/resources/nodes/"+n.Name+"/drain", body).Want(t, code)
	if len(e.Data) > 0 && string(e.Data) != "null" {
		e.Into(t, &d)
	}
	return d, e.Message
}

func TestCordon(t *testing.T) {
	ops, n := newActor(t, "ops"), node(t)
	for range 2 { // the second drain has no Pods to evict
		ops.post(t, "/resources/nodes/"+n.Name+"/cordon", "").Want(t, wire.OK)
		if !read(t, n).Spec.Unschedulable {
			t.Fatal("it is not cordoned")
		}
	}
	ops.post(t, "/resources/nodes/"+n.Name+"/uncordon", "").Want(t, wire.OK)
	if read(t, n).Spec.Unschedulable {
		t.Fatal("it is still cordoned")
	}
	for _, action := range []string{"cordon", "uncordon", "drain"} {
		refused(t, ops.post(t, "/resources/nodes/none/"+action, ""), wire.NotFound, "")
		refused(t, ops.post(t, "/resources/pods/none/"+action, ""), wire.NotFound, "")
	}
	for body, field := range map[string]string{
		`{"timeoutSeconds":0}`: "timeoutSeconds", `{"timeoutSeconds":46}`: "timeoutSeconds",
		`{"gracePeriodSeconds":-1}`: "gracePeriodSeconds",
		`{"forced":true}`:           "forced", `{"force":"yes"}`: "force",
	} {
		refused(t, ops.post(t, "/resources/nodes/"+n.Name+"/drain", body), wire.Invalid, field)
	}
	if read(t, n).Spec.Unschedulable {
		t.Error("a malformed drain has cordoned the node")
	}
}

// TestDrain verifies the drain of a node:
//   - If the request does not allow the loss of Pods or data, no Pod is evicted. The response names the affected Pods.
//   - A dry run changes nothing.
//   - Static Pods and Pods of DaemonSets are not evicted.
func TestDrain(t *testing.T) {
	ns, ops, n := set().Namespace(t, "drain"), newActor(t, "ops"), node(t)
	web := placedPods(t, ns, n, 2)
	agent := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "agent"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "agent"}},
				Spec: corev1.PodSpec{
					NodeName: n.Name, Containers: []corev1.Container{{Name: "main", Image: "agent:1"}},
					Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
				},
			},
		},
	}
	set().Create(t, agent)
	var agents corev1.PodList
	fixture.Eventually(t, "wait for the DaemonSet's Pod", func(ctx context.Context) error {
		if err := env.Client.List(ctx, &agents, client.InNamespace(ns),
			client.MatchingLabels{"app": "agent"}); err != nil {
			return err
		}
		if len(agents.Items) != 1 {
			return fmt.Errorf("there are %d", len(agents.Items))
		}
		return nil
	})
	alone := barePod(t, ns, "alone", n, func(*corev1.Pod) {})
	scratch := barePod(t, ns, "scratch", n, func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "tmp",
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	})
	mirror := barePod(t, ns, "mirror", n, func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	})

	d, message := ops.drain(t, n, wire.Conflict, `{"dryRun":true}`)
	if !strings.Contains(message, ns+"/alone") || !strings.Contains(message, ns+"/scratch") ||
		read(t, n).Spec.Unschedulable || !d.DryRun {
		t.Errorf("a dry run that is refused: %s %+v", message, d)
	}
	_, message = ops.drain(t, n, wire.Conflict, `{"deleteEmptyDirData":true}`)
	if !strings.Contains(message, ns+"/alone") || !strings.Contains(message, "force") ||
		strings.Contains(message, "emptyDir") {
		t.Errorf("the message is %q", message)
	}
	d, message = ops.drain(t, n, wire.Conflict, `{"force":true}`)
	if !strings.Contains(message, ns+"/scratch") || strings.Contains(message, "alone") ||
		!strings.Contains(message, "deleteEmptyDirData") {
		t.Errorf("the message is %q", message)
	}
	d.want(t, "scratch", "blocked", "emptyDir")
	d.want(t, web[0].Name, "blocked", "other pods")
	d.want(t, "mirror", "skipped", "static")
	all := []*corev1.Pod{alone, scratch, mirror, &web[0], &web[1], &agents.Items[0]}
	for _, p := range all {
		if !there(t, p) {
			t.Errorf("pod %s was evicted although the drain was refused", p.Name)
		}
	}
	ops.post(t, "/resources/nodes/"+n.Name+"/uncordon", "").Want(t, wire.OK)

	const everything = `"force":true,"deleteEmptyDirData":true,"gracePeriodSeconds":0`
	d, _ = ops.drain(t, n, wire.OK, `{`+everything+`,"dryRun":true}`)
	d.want(t, "alone", "evicted", "dry run")
	if !d.DryRun || !d.Completed || !there(t, alone) || !there(t, &web[0]) || read(t, n).Spec.Unschedulable {
		t.Errorf("a dry run: %+v", d)
	}

	d, _ = ops.drain(t, n, wire.OK, `{`+everything+`}`)
	if !d.Completed || d.DryRun || d.Name != n.Name || len(d.Pods) != len(all) || !read(t, n).Spec.Unschedulable {
		t.Errorf("the drain: %+v", d)
	}
	for _, p := range all {
		status := "evicted"
		if p == mirror || p == &agents.Items[0] {
			status = "skipped"
		}
		d.want(t, p.Name, status, "")
		if there(t, p) != (status == "skipped") {
			t.Errorf("pod %s is %s, and exists: %v", p.Name, status, there(t, p))
		}
	}
	if d, _ = ops.drain(t, n, wire.OK, ``); !d.Completed || len(d.Pods) != 2 {
		t.Errorf("the drain of a node that is drained: %+v", d)
	}
}

// TestDrainBudget verifies that a drain respects a PodDisruptionBudget, evicts the other Pods, and can be repeated.
func TestDrainBudget(t *testing.T) {
	ns, ops, n := set().Namespace(t, "budget"), newActor(t, "ops"), node(t)
	web := placedPods(t, ns, n, 2)
	other := barePod(t, ns, "zz-other", n, func(*corev1.Pod) {})
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(2)), Selector: selector()},
	}
	set().Create(t, budget)
	fixture.Eventually(t, "wait for the budget to count", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(budget), budget); err != nil {
			return err
		}
		if s := budget.Status; s.ObservedGeneration != budget.Generation || s.CurrentHealthy != 2 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	d, _ := ops.drain(t, n, wire.OK, `{"force":true,"timeoutSeconds":1,"gracePeriodSeconds":0}`)
	for i := range web {
		d.want(t, web[i].Name, "blocked", "PodDisruptionBudget")
		if !there(t, &web[i]) {
			t.Errorf("pod %s was evicted against its budget", web[i].Name)
		}
	}
	d.want(t, "zz-other", "evicted", "")
	if d.Completed || there(t, other) || !read(t, n).Spec.Unschedulable {
		t.Errorf("the drain: %+v", d)
	}

	again := make(chan drained, 1)
	go func() {
		var d drained
		response, err := ops.client.Do(t.Context(), wire.Request{
			Method: "POST", Path: wire.DirectPath + onHost + "/resources/nodes/" + n.Name + "/drain", Bearer: ops.token,
			Body: `{"timeoutSeconds":40,"gracePeriodSeconds":0}`,
		})
		if err == nil {
			var e wire.Envelope
			if e, err = response.Parse(); err == nil {
				e.Into(t, &d)
			}
		}
		if err != nil {
			t.Error(err)
		}
		again <- d
	}()
	select { // the drain waits for the budget
	case d := <-again:
		t.Fatalf("the drain did not wait: %+v", d)
	case <-time.After(time.Second):
	}
	set().Delete(t, budget)
	d = <-again
	for i := range web {
		d.want(t, web[i].Name, "evicted", "")
	}
	if !d.Completed {
		t.Errorf("the drain: %+v", d)
	}
}

// TestDrainOfALargePod verifies that a drain does not evict a Pod whose object is too large to be decoded. The drain
// reports this Pod and evicts the other Pods.
func TestDrainOfALargePod(t *testing.T) {
	ns, ops, n := set().Namespace(t, "large"), newActor(t, "ops"), node(t)
	large := barePod(t, ns, "large", n, func(p *corev1.Pod) { p.Spec.Containers[0].Args = make([]string, 200_000) })
	small := barePod(t, ns, "small", n, func(*corev1.Pod) {})
	d, _ := ops.drain(t, n, wire.OK, `{"force":true,"gracePeriodSeconds":0}`)
	d.want(t, "large", "failed", "too large")
	d.want(t, "small", "evicted", "")
	if d.Completed || there(t, small) || !there(t, large) {
		t.Errorf("the drain: %+v", d)
	}
}

func TestDrainWithoutEvictions(t *testing.T) {
	ns, n := set().Namespace(t, "noevict"), node(t)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("cordoner")},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch"}},
			{APIGroups: []string{""}, Resources: []string{"pods", "namespaces"}, Verbs: []string{"get", "list"}},
		}}
	set().Create(t, role)
	cordoner := newActor(t, role.Name)
	web := placedPods(t, ns, n, 1)
	d, _ := cordoner.drain(t, n, wire.Forbidden, `{}`)
	d.want(t, web[0].Name, "failed", "forbidden")
	if !there(t, &web[0]) {
		t.Error("the pod was evicted")
	}
	if _, err := d.find(web[0].Name); err != nil {
		t.Error(err)
	}
}

func (d drained) find(name string) (code int, err error) {
	for _, p := range d.Pods {
		if p.Name == name && p.Code == wire.Forbidden {
			return p.Code, nil
		}
	}
	return 0, errors.New("the pod has no code")
}
