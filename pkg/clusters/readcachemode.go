// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func isReadCacheDisabled(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	if c.Spec.ReadCache == kubevisionv1alpha1.ReadCacheDisabled {
		return true
	}
	// The condition says whether another KubeVisionCluster disables the read cache.
	found := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterReadCacheCondition)
	return found != nil && found.Status == metav1.ConditionFalse && found.Reason == kubevisionv1alpha1.ReasonDisabled
}

// setReadCacheMode disables or enables the read cache as the KubeVisionCluster requires, and returns the connection. If
// the read cache becomes disabled, the channels that ReaderDone has returned are closed.
func (c *Connection) setReadCacheMode(registration *kubevisionv1alpha1.KubeVisionCluster) *Connection {
	if c.reader != nil {
		c.reader.setDisabled(isReadCacheDisabled(registration))
	}
	return c
}

// IsReadCacheDisabled returns true if the KubeVisionCluster disables the read cache.
func (c *Connection) IsReadCacheDisabled() bool { return c.reader == nil || c.reader.disabled.Load() }

// ReaderDone returns a channel that is closed when the read cache may no longer use the connection: the connection is
// closed, or the KubeVisionCluster disables the read cache. The caller must then drop the data that was read with
// Reader.
func (c *Connection) ReaderDone() <-chan struct{} {
	if c.reader == nil {
		return c.Done()
	}
	return c.reader.done()
}

// watchReadCache adds an event handler for KubeVisionClusters, so that a change of spec.readCache takes effect at once
// instead of at the next request. The parameter clusters is a cache of KubeVisionClusters.
func (c *Connections) watchReadCache(ctx context.Context, clusters cache.Cache) error {
	informer, err := clusters.GetInformer(ctx, &kubevisionv1alpha1.KubeVisionCluster{}, cache.BlockUntilSynced(false))
	if err == nil {
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			UpdateFunc: func(_, is any) {
				if registration, ok := is.(*kubevisionv1alpha1.KubeVisionCluster); ok {
					c.setReadCache(ctx, registration)
				}
			},
		})
	}
	if err != nil {
		return fmt.Errorf("watching spec.readCache of clusters: %w", err)
	}
	return nil
}

// setReadCache applies the read cache mode of the registration to its open connections.
func (c *Connections) setReadCache(ctx context.Context, registration *kubevisionv1alpha1.KubeVisionCluster) {
	if registration.Spec.InCluster {
		_, _ = c.hostBy(ctx, registration) // an error means that the registration is not the valid one
		return
	}
	m := c.members
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range append(m.retired[registration.Name], m.open[registration.Name]) {
		if o != nil && o.connection != nil && o.revision.Cluster == registration.UID {
			o.connection.setReadCacheMode(registration)
		}
	}
}
