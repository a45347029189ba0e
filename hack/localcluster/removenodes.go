// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// RemoveNodes reduces the number of simulated nodes to at most count. It deletes the Pods of the removed nodes
// immediately, because no kubelet can confirm the termination of the Pods.
func (c *Cluster) RemoveNodes(ctx context.Context, count int) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("create a client: %w", err)
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the nodes: %w", err)
	}
	for i := range nodes.Items {
		name := nodes.Items[i].Name
		number, err := strconv.Atoi(strings.TrimPrefix(name, nodePrefix))
		if err != nil || !strings.HasPrefix(name, nodePrefix) || number <= count {
			continue
		}
		if err := removeNode(ctx, client, name); err != nil {
			return fmt.Errorf("remove the node %s: %w", name, err)
		}
	}
	return nil
}

// removeNode deletes the node, and then its Pods. In this order, no controller creates a Pod on the node again.
func removeNode(ctx context.Context, client kubernetes.Interface, name string) error {
	now := metav1.NewDeleteOptions(0)
	if err := client.CoreV1().Nodes().Delete(ctx, name, *now); err != nil {
		return err //nolint:wrapcheck // the caller wraps it
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + name})
	if err != nil {
		return fmt.Errorf("list the Pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *now)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete the Pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	return nil
}
