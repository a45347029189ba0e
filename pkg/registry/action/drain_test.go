// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

func podOf(name string, change func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	change(&p)
	return p
}

func owned(apiVersion, kind string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "owner",
			Controller: new(true)}}
	}
}

func withEmptyDir(p *corev1.Pod) {
	owned("apps/v1", "ReplicaSet")(p)
	p.Spec.Volumes = []corev1.Volume{{Name: "tmp",
		VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
}

func planned(options dashboardv1alpha1.DrainRequest, pods ...corev1.Pod) (*draining, []int, error) {
	d := &draining{options: options, found: pods}
	for i := range pods {
		d.results = append(d.results, dashboardv1alpha1.DrainedPod{Namespace: pods[i].Namespace, Name: pods[i].Name})
	}
	waiting, err := d.plan("node")
	return d, waiting, err
}

func TestPlan(t *testing.T) {
	const goes = "" // the eviction sets the status
	force, withData := dashboardv1alpha1.DrainRequest{Force: true}, dashboardv1alpha1.DrainRequest{
		DeleteEmptyDirData: true}
	for name, tc := range map[string]struct {
		pod     func(*corev1.Pod)
		options dashboardv1alpha1.DrainRequest
		status  string
		refused bool
	}{
		"of a ReplicaSet": {owned("apps/v1", "ReplicaSet"), dashboardv1alpha1.DrainRequest{}, goes, false},
		"of a DaemonSet": {owned("apps/v1", "DaemonSet"), dashboardv1alpha1.DrainRequest{},
			dashboardv1alpha1.DrainSkipped, false},
		"of another's DaemonSet": {owned("example.com/v1", "DaemonSet"), dashboardv1alpha1.DrainRequest{}, goes,
			false},
		"static": {func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		}, force, dashboardv1alpha1.DrainSkipped, false},
		"unmanaged":         {func(*corev1.Pod) {}, withData, dashboardv1alpha1.DrainBlocked, true},
		"unmanaged, forced": {func(*corev1.Pod) {}, force, goes, false},
		"unmanaged, failed": {func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
		}, dashboardv1alpha1.DrainRequest{}, goes, false},
		"with an emptyDir":         {withEmptyDir, force, dashboardv1alpha1.DrainBlocked, true},
		"with an emptyDir to lose": {withEmptyDir, withData, goes, false},
		"with an emptyDir, finished": {func(p *corev1.Pod) { withEmptyDir(p); p.Status.Phase = corev1.PodSucceeded },
			force, goes, false},
		"ending": {func(p *corev1.Pod) {
			p.DeletionTimestamp = new(metav1.Now())
		}, dashboardv1alpha1.DrainRequest{}, dashboardv1alpha1.DrainEvicted, false},
		"owned, but not controlled": {func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x"}}
		}, dashboardv1alpha1.DrainRequest{}, dashboardv1alpha1.DrainBlocked, true},
	} {
		t.Run(name, func(t *testing.T) {
			d, waiting, err := planned(tc.options, podOf("a", tc.pod))
			if (err != nil) != tc.refused || d.results[0].Status != tc.status ||
				(len(waiting) == 1) != (tc.status == goes || tc.refused) {
				t.Errorf("status %q (%s), waiting %v, error %v", d.results[0].Status, d.results[0].Reason, waiting, err)
			}
		})
	}
}

func TestPlanNamesOnlySome(t *testing.T) {
	var pods []corev1.Pod
	for name := range strings.SplitSeq("abcdefgh", "") {
		pods = append(pods, podOf(name, func(*corev1.Pod) {}))
	}
	_, _, err := planned(dashboardv1alpha1.DrainRequest{}, append(pods, podOf("z", withEmptyDir))...)
	e := envelope.As(err)
	if e.Code != dashboardv1alpha1.CodeConflict ||
		!strings.Contains(e.Message, "ns/a, ns/b, ns/c, ns/d, ns/e, 3 more") || !strings.Contains(e.Message, "ns/z") {
		t.Errorf("%d: %s", e.Code, e.Message)
	}
	if data, ok := e.Data.(dashboardv1alpha1.Drain); !ok || len(data.Pods) != 9 || data.Completed {
		t.Errorf("data: %+v", e.Data)
	}
}

func TestHopeless(t *testing.T) {
	failed := func(code dashboardv1alpha1.Code) dashboardv1alpha1.DrainedPod {
		return dashboardv1alpha1.DrainedPod{Status: dashboardv1alpha1.DrainFailed, Code: code, Reason: "why"}
	}
	blocked := dashboardv1alpha1.DrainedPod{Status: dashboardv1alpha1.DrainBlocked}
	forbidden, unreachable := failed(dashboardv1alpha1.CodeForbidden), failed(dashboardv1alpha1.CodeUnreachable)
	for name, tc := range map[string]struct {
		results []dashboardv1alpha1.DrainedPod
		want    dashboardv1alpha1.Code
	}{
		"nothing to do":       {nil, dashboardv1alpha1.CodeOK},
		"all forbidden":       {[]dashboardv1alpha1.DrainedPod{forbidden, forbidden}, dashboardv1alpha1.CodeForbidden},
		"for several reasons": {[]dashboardv1alpha1.DrainedPod{forbidden, unreachable}, dashboardv1alpha1.CodeOK},
		"some blocked":        {[]dashboardv1alpha1.DrainedPod{forbidden, blocked}, dashboardv1alpha1.CodeOK},
		"all blocked":         {[]dashboardv1alpha1.DrainedPod{blocked}, dashboardv1alpha1.CodeOK},
	} {
		var waiting []int
		for i := range tc.results {
			waiting = append(waiting, i)
		}
		err := (&draining{results: tc.results}).nothingEvictedError(waiting, dashboardv1alpha1.Drain{})
		if got := err != nil; got != (tc.want != dashboardv1alpha1.CodeOK) ||
			(got && envelope.As(err).Code != tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoTimeLeft verifies that no eviction begins shortly before the deadline of the request. The remaining Pods are
// reported as blocked. A Pod whose earlier eviction was blocked keeps the reason.
func TestNoTimeLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), reserve-time.Second)
	defer cancel()
	d, waiting, err := planned(dashboardv1alpha1.DrainRequest{Force: true}, podOf("a", func(*corev1.Pod) {}),
		podOf("b", func(*corev1.Pod) {}))
	if err != nil {
		t.Fatal(err)
	}
	d.results[1].Status, d.results[1].Reason = dashboardv1alpha1.DrainBlocked, "budget"
	left, err := d.evictAll(ctx, waiting)
	if err != nil || left != 2 || d.results[0].Status != dashboardv1alpha1.DrainBlocked ||
		d.results[1].Reason != "budget" {
		t.Errorf("%d left: %+v, %v", left, d.results, err)
	}
}
