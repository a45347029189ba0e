// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// watch adds event handlers to the caches. The handlers close a connection when its KubeVisionCluster or its Secret is
// deleted or recreated.
func (m *members) watch(ctx context.Context, clusters, secrets cache.Cache) error {
	return errors.Join(m.watchClusters(ctx, clusters), m.watchSecrets(ctx, secrets))
}

func (m *members) watchClusters(ctx context.Context, clusters cache.Cache) error {
	informer, err := clusters.GetInformer(ctx, &kubevisionv1alpha1.KubeVisionCluster{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching clusters: %w", err)
	}
	clusterGone := func(o any) {
		if c, ok := object(o); ok {
			m.forget(func(name string, _ Revision) bool { return name == c.GetName() })
		}
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		DeleteFunc: clusterGone,
		UpdateFunc: func(was, is any) {
			before, ok := object(was)
			after, ok2 := object(is)
			if !ok || !ok2 {
				return
			}
			if before.GetUID() != after.GetUID() || after.GetDeletionTimestamp() != nil || !hasKubeconfig(is) {
				clusterGone(is)
			}
		},
	}); err != nil {
		return fmt.Errorf("watching clusters: %w", err)
	}
	return nil
}

func (m *members) watchSecrets(ctx context.Context, secrets cache.Cache) error {
	informer, err := secrets.GetInformer(ctx, secretMetadata(), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching secrets: %w", err)
	}
	gone := func(o any) {
		if s, ok := object(o); ok {
			m.forget(func(_ string, r Revision) bool { return r.Secret == s.GetUID() })
		}
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		DeleteFunc: gone,
		UpdateFunc: func(was, is any) {
			before, ok := object(was)
			after, ok2 := object(is)
			if ok && ok2 && before.GetUID() != after.GetUID() {
				gone(was)
			}
		},
	}); err != nil {
		return fmt.Errorf("watching secrets: %w", err)
	}
	return nil
}

// hasKubeconfig returns true for a KubeVisionCluster that references a kubeconfig.
func hasKubeconfig(o any) bool {
	c, ok := o.(*kubevisionv1alpha1.KubeVisionCluster)
	return ok && c.Spec.KubeconfigSecretRef != nil
}

func object(o any) (metav1.Object, bool) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	out, ok := o.(metav1.Object)
	return out, ok
}

func secretMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return o
}
