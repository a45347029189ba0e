// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const podsPerNamespace = 100

func (r *podReaders) fill(b *testing.B, podCount int) (firstNamespace string) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for r.pods < podCount {
		namespace := set().Namespace(b, "spread")
		if r.namespace == "" {
			r.namespace = namespace
		}
		set().Pod(b, namespace, "pod-00000") // waits until the namespace has its ServiceAccount
		for i := range podsPerNamespace {
			group.Go(func() error {
				if i == 0 {
					return nil
				}
				return set().Client.Create(b.Context(), crowdedPod(namespace, i)) //nolint:wrapcheck // it is complete
			})
		}
		r.pods += podsPerNamespace
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return r.namespace
}

// crowdedPod returns a Pod of a typical size: about 4 KiB, and 6 KiB with the managed fields.
func crowdedPod(namespace string, i int) *corev1.Pod {
	container := func(name string) corev1.Container {
		probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")},
		}}
		return corev1.Container{
			Name: name, Image: "registry.example.com/team/" + name + ":1.2.3",
			Args: []string{"--listen=:8080", "--log-format=json", "--config=/etc/" + name + "/config.yaml"},
			Env: []corev1.EnvVar{
				{Name: "DATABASE_HOST", Value: fmt.Sprintf("database-%d.example.svc", i%10)},
				{Name: "OPTIONS", Value: strings.Repeat("option,", 12)},
				{Name: "POD_IP",
					ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			},
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{"memory": resource.MustParse("256Mi")},
			},
			LivenessProbe: probe, ReadinessProbe: probe,
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/" + name}},
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("pod-%05d", i),
			Labels: map[string]string{"app": fmt.Sprintf("app-%d", i%10), "pod-template-hash": "5d4f8c7b9",
				"team": "web"},
			Annotations: map[string]string{
				"checksum/config":  strings.Repeat(fmt.Sprintf("%02x", i%256), 32),
				"example.com/note": strings.Repeat("x", 300),
			},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container("main"), container("sidecar")},
			Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
				ConfigMap: &corev1.ConfigMapVolumeSource{
					LocalObjectReference: corev1.LocalObjectReference{Name: "config"}},
			}}},
		},
	}
}
