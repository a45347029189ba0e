// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package views_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

func quantity(s string) resource.Quantity { return resource.MustParse(s) }

// wantingPod returns a function that creates the Pod "wanting", which has CPU and memory requests. The function returns
// an error until the namespace has a default ServiceAccount.
func wantingPod(namespace string) func(context.Context) error {
	return podThatWants(namespace, "wanting", corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": quantity("250m"), "memory": quantity("64Mi")},
		Limits:   corev1.ResourceList{"cpu": quantity("500m")},
	})
}

func podThatWants(namespace, name string, resources corev1.ResourceRequirements) func(context.Context) error {
	return func(ctx context.Context) error {
		return env.Client.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none",
				Resources: resources}}},
		})
	}
}

var metricsVersion = schema.GroupVersion{Group: "metrics.k8s.io", Version: "v1beta1"}

func object(gvk schema.GroupVersionKind, namespace, name string, content map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: content}
	o.SetGroupVersionKind(gvk)
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// serveMetrics creates metrics for a node and for the Pod "wanting". The metrics are custom resources, so that the
// cluster needs no metrics server.
func serveMetrics(tb testing.TB, namespace, node string) {
	tb.Helper()
	define(tb, "nodes", "NodeMetrics", "Cluster")
	define(tb, "pods", "PodMetrics", "Namespaced")
	// Metrics servers install such a role.
	set().Create(tb, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{
			Name:   fixture.Name("metrics"),
			Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"},
		},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{metricsVersion.Group}, Resources: []string{"pods"},
			Verbs: []string{"get", "list"}}},
	})
	create(tb, object(metricsVersion.WithKind("NodeMetrics"), "", node, map[string]any{
		"timestamp": "2026-01-01T00:00:00Z", "window": "30s",
		"usage": map[string]any{"cpu": "1500m", "memory": "512Mi"},
	}))
	measure(tb, namespace, "wanting", "100m", "32Mi")
}

func measure(tb testing.TB, namespace, pod, cpu, memory string) {
	tb.Helper()
	create(tb, object(metricsVersion.WithKind("PodMetrics"), namespace, pod, map[string]any{
		"timestamp": "2026-01-01T00:00:00Z", "window": "30s",
		"containers": []any{map[string]any{"name": "main", "usage": map[string]any{"cpu": cpu, "memory": memory}}},
	}))
}

func define(tb testing.TB, plural, kind, scope string) {
	tb.Helper()
	defineIn(tb, metricsVersion, plural, kind, scope)
}

func serve(tb testing.TB, group, plural, kind string) {
	tb.Helper()
	defineIn(tb, schema.GroupVersion{Group: group, Version: "v1"}, plural, kind, "Namespaced")
}

func defineIn(tb testing.TB, version schema.GroupVersion, plural, kind, scope string) {
	tb.Helper()
	gvk := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	definition := object(gvk, "", plural+"."+version.Group, map[string]any{"spec": map[string]any{
		"group": version.Group, "scope": scope, "names": map[string]any{"plural": plural, "kind": kind},
		"versions": []any{map[string]any{
			"name": version.Version, "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object",
				"x-kubernetes-preserve-unknown-fields": true}},
		}},
	}})
	definition.SetAnnotations(map[string]string{"api-approved.kubernetes.io": "unapproved, for tests"})
	set().Create(tb, definition)
}

// create creates an object as soon as its kind is served.
func create(tb testing.TB, o *unstructured.Unstructured) {
	tb.Helper()
	fixture.Eventually(tb, fmt.Sprintf("make %s %s", o.GetKind(), o.GetName()), func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(env.Client.Create(ctx, o.DeepCopy()))
	})
}
