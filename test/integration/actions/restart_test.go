// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const restartedAt = "kubectl.kubernetes.io/restartedAt"

func TestRestart(t *testing.T) {
	ns := set().Namespace(t, "restart")
	dev := newActor(t, "dev", ns)
	d := deployment(t, ns, "web", 0)
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "store"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(0)), Selector: selector(), Template: template("store:1"),
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
		},
	}
	a := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "agent"},
		Spec:       appsv1.DaemonSetSpec{Selector: selector(), Template: template("agent:1")},
	}
	set().Create(t, s)
	set().Create(t, a)
	for kind, tc := range map[string]struct {
		path     string
		template func() *corev1.PodTemplateSpec
		warned   bool
	}{
		"a Deployment": {"/namespaces/" + ns + "/deployments/web/restart",
			func() *corev1.PodTemplateSpec { return &read(t, d).Spec.Template }, false},
		"a StatefulSet": {"/namespaces/" + ns + "/resources/statefulsets/store/restart",
			func() *corev1.PodTemplateSpec { return &read(t, s).Spec.Template }, true},
		"a DaemonSet": {"/resources/daemonsets/agent/restart?namespace=" + ns,
			func() *corev1.PodTemplateSpec { return &read(t, a).Spec.Template }, false},
	} {
		t.Run(kind, func(t *testing.T) {
			e := dev.post(t, tc.path, "").Want(t, wire.OK)
			at, err := time.Parse(time.RFC3339, tc.template().Annotations[restartedAt])
			if err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("restarted at %s (%v)", at, err)
			}
			if got := e.Meta.Warnings; tc.warned != (len(got) == 1) {
				t.Errorf("warnings %q", got)
			}
		})
	}
	t.Run("a paused Deployment", func(t *testing.T) {
		p := deployment(t, ns, "paused", 0)
		update(t, p, `{"spec":{"paused":true}}`)
		refused(t, dev.post(t, "/namespaces/"+ns+"/deployments/paused/restart", ""), wire.Conflict, "")
		if _, ok := read(t, p).Spec.Template.Annotations[restartedAt]; ok {
			t.Error("it was restarted")
		}
	})
	t.Run("what cannot be", func(t *testing.T) {
		set().Create(t, &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "once"},
			Spec: batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "main", Image: "once:1"}},
			}}},
		})
		e := dev.post(t, "/namespaces/"+ns+"/jobs/once/restart", "")
		refused(t, e, wire.Invalid, "resource")
		if !strings.Contains(e.Message, "statefulsets") {
			t.Errorf("the message does not name the alternative: %s", e.Message)
		}
		refused(t, dev.post(t, "/namespaces/"+ns+"/deployments/none/restart", ""), wire.NotFound, "")
		refused(t, dev.post(t, "/namespaces/"+ns+"/pods/none/restart", ""), wire.NotFound, "")
	})
}

func TestRestartPod(t *testing.T) {
	ns := set().Namespace(t, "restart-pod")
	dev := newActor(t, "dev", ns)
	deployment(t, ns, "web", 1)
	first := awaitPods(t, ns, 1)[0]
	e := dev.post(t, "/namespaces/"+ns+"/pods/"+first.Name+"/restart", "").Want(t, wire.OK)
	if got := e.Meta.Warnings; len(got) != 0 {
		t.Errorf("warnings %q", got)
	}
	fixture.Eventually(t, "wait for another Pod", func(ctx context.Context) error {
		var list corev1.PodList
		if err := env.Client.List(ctx, &list, client.InNamespace(ns)); err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].UID == first.UID {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
	set().Pod(t, ns, "alone")
	e = dev.post(t, "/namespaces/"+ns+"/pods/alone/restart", "").Want(t, wire.OK)
	if got := e.Meta.Warnings; len(got) != 1 || !strings.Contains(got[0], "alone") {
		t.Errorf("warnings %q, want one that nothing recreates it", got)
	}
	set().Gone(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "alone"}})
}

func awaitPods(t *testing.T, namespace string, count int) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	fixture.Eventually(t, fmt.Sprintf("wait for %d Pods", count), func(ctx context.Context) error {
		if err := env.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(list.Items) != count {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
	return list.Items
}
