// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// checkRemoveNodes verifies that RemoveNodes deletes surplus simulated nodes and the Pods on these nodes. All other
// nodes and Pods must remain.
func checkRemoveNodes(t *testing.T, c *Cluster) {
	client := kubernetes.NewForConfigOrDie(c.Config())
	for _, name := range []string{"node-1", "node-2", "node-10", "node-x"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "on-" + name},
			Spec: corev1.PodSpec{
				NodeName: name, Containers: []corev1.Container{{Name: "main", Image: "none"}},
				AutomountServiceAccountToken: new(bool),
			},
		}
		if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	if err := c.RemoveNodes(t.Context(), 1); err != nil {
		t.Fatal(err)
	}

	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range nodes.Items {
		got = append(got, nodes.Items[i].Name)
	}
	if want := []string{"node-1", "node-x", "simulated"}; !slices.Equal(got, want) {
		t.Errorf("nodes %v, want %v", got, want)
	}
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for i := range pods.Items {
		got = append(got, pods.Items[i].Name)
	}
	if want := []string{"on-node-1", "on-node-x", "simulated"}; !slices.Equal(got, want) {
		t.Errorf("Pods %v, want %v", got, want)
	}
}
