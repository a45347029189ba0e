// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

const (
	apiServiceName = "v1alpha1.dashboard.kubevision.io"
	// askedAnnotation is an annotation that no program reads. Setting it changes an object without other effects.
	askedAnnotation = "localcluster.kubevision.io/asked-at"
)

func apiServices() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
}

// WaitAvailable waits until the aggregation layer reaches kubevision-apiserver. After a restart, the status of the
// APIService may still refer to the previous process.
func (k *KubeVision) WaitAvailable(ctx context.Context) error {
	begun := time.Now()
	if err := k.askAggregator(ctx); err != nil {
		return err
	}
	check, err := k.cluster.conditionCheck(apiServices(), "Available", []string{apiServiceName})
	if err != nil {
		return err
	}
	if err := k.apiServer.await(ctx, servingTimeout, "wait for the APIService "+apiServiceName, check); err != nil {
		return err
	}
	k.cluster.say("APIService %s is available after %s", apiServiceName, time.Since(begun).Round(pollInterval))
	return nil
}

// askAggregator makes the aggregation layer check the APIService immediately, without the backoff after earlier
// failures.
func (k *KubeVision) askAggregator(ctx context.Context) error {
	client, err := dynamic.NewForConfig(k.cluster.Config())
	if err != nil {
		return fmt.Errorf("create a client: %w", err)
	}
	// The aggregation layer checks an APIService immediately after each change of the object.
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		askedAnnotation: time.Now().Format(time.RFC3339Nano),
	}}})
	if err != nil {
		return fmt.Errorf("annotate the APIService: %w", err)
	}
	if _, err := client.Resource(apiServices()).Patch(ctx, apiServiceName, types.MergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("annotate the APIService: %w", err)
	}
	return nil
}
