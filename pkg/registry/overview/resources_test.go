// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"encoding/json"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

func needs(cpu string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}
}

func TestWhatAPodAsksFor(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	main := []corev1.Container{{Resources: needs("200m")}, {Resources: needs("100m")}}
	whole := needs("2")
	for name, tc := range map[string]struct {
		spec corev1.PodSpec
		want int64
	}{
		"nothing":    {corev1.PodSpec{}, 0},
		"containers": {corev1.PodSpec{Containers: main}, 300},
		"small init": {corev1.PodSpec{Containers: main,
			InitContainers: []corev1.Container{{Resources: needs("250m")}}}, 300},
		"large init": {corev1.PodSpec{Containers: main,
			InitContainers: []corev1.Container{{Resources: needs("1")}}}, 1000},
		"beside": {corev1.PodSpec{Containers: main,
			InitContainers: []corev1.Container{{Resources: needs("1"), RestartPolicy: &always}}}, 1300},
		"init after": {corev1.PodSpec{Containers: main, InitContainers: []corev1.Container{
			{Resources: needs("1"), RestartPolicy: &always}, {Resources: needs("500m")},
		}}, 1500},
		"overhead": {corev1.PodSpec{Containers: main, Overhead: needs("50m").Requests}, 350},
		"whole":    {corev1.PodSpec{Containers: main, Resources: &whole}, 2000},
	} {
		var out dashboardv1alpha1.OverviewResources
		addRequests(&corev1.Pod{Spec: tc.spec}, &out)
		if out.CPU.Requests != tc.want || out.CPU.Limits != 0 {
			t.Errorf("%s: got %+v, want %d", name, out.CPU, tc.want)
		}
		pod := corev1.Pod{Spec: tc.spec, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
		var counted, partial dashboardv1alpha1.Overview
		countPod(&pod, &counted)
		text, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		if err := objects.Item(text, nil, func(p *partialPod) error {
			countPod(p.pod(), &partial)
			return nil
		}); err != nil || !reflect.DeepEqual(partial, counted) {
			t.Errorf("%s: a partial Pod has %+v, want %+v: %v", name, partial, counted, err)
		}
	}
}

func TestWhatHasEndedAsksForNothing(t *testing.T) {
	var out dashboardv1alpha1.Overview
	for _, phase := range []corev1.PodPhase{corev1.PodRunning, corev1.PodPending, corev1.PodSucceeded, corev1.PodFailed,
		corev1.PodUnknown, ""} {
		countPod(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: needs("1")}}},
			Status: corev1.PodStatus{Phase: phase}}, &out)
	}
	want := dashboardv1alpha1.PodPhases{Running: 1, Pending: 1, Succeeded: 1, Failed: 1, Unknown: 2}
	if out.Pods != 6 || out.RunningPods != 1 || out.PodStatusDistribution != want ||
		out.Resources.CPU.Requests != 4000 {
		t.Errorf("got %+v", out)
	}
}
