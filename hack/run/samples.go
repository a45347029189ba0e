// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

const (
	demoNamespace  = "demo"
	samplesTimeout = 2 * time.Minute
)

// applySamples applies the sample objects and waits until they are ready.
func applySamples(
	ctx context.Context, root string, files state, wanted settings, cluster *localcluster.Cluster, steps *progress,
) error {
	steps.say("applying the samples")
	if err := cluster.Apply(ctx, filepath.Join(root, "config", "samples")); err != nil {
		return err
	}
	for _, resource := range []string{"kubevisionusers", "kubevisionclusters", "kubevisionrolebindings"} {
		kind := schema.GroupVersionResource{Group: "kubevision.io", Version: "v1alpha1", Resource: resource}
		if err := cluster.WaitForCondition(ctx, samplesTimeout, kind, "Ready"); err != nil {
			return fmt.Errorf("%w; logs are in %s", err, files.path(clusterDir))
		}
		steps.say("%s are Ready", resource)
	}
	services := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	if err := cluster.WaitForCondition(ctx, samplesTimeout, services, "Available"); err != nil {
		return err
	}
	if !cluster.HasControllerManager() {
		return nil
	}
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		return fmt.Errorf("create a client: %w", err)
	}
	return waitForPods(ctx, client, wanted.nodes > 0)
}

// waitForPods waits until the sample Deployments have all their Pods. If the cluster has nodes, it also waits until the
// Pods are ready.
func waitForPods(ctx context.Context, client kubernetes.Interface, nodes bool) error {
	return localcluster.Poll(ctx, samplesTimeout, "wait for the Pods of the samples", func(ctx context.Context) error {
		return checkPods(ctx, client, nodes)
	})
}

func checkPods(ctx context.Context, client kubernetes.Interface, nodes bool) error {
	deployments, err := client.AppsV1().Deployments(demoNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the Deployments: %w", err)
	}
	if len(deployments.Items) == 0 {
		return fmt.Errorf("namespace %s has no Deployment", demoNamespace)
	}
	for i := range deployments.Items {
		deployment := &deployments.Items[i]
		wanted, has := *deployment.Spec.Replicas, deployment.Status.Replicas
		if nodes {
			has = deployment.Status.ReadyReplicas
		}
		if has != wanted || deployment.Status.ObservedGeneration != deployment.Generation {
			return fmt.Errorf("deployment %s has %d of %d Pods", deployment.Name, has, wanted)
		}
	}
	return nil
}
