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

// isReadCacheDisabled returns true if a registration disables the read cache, or if another registration of the same
// cluster does so according to the status.
func isReadCacheDisabled(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	if c.Spec.ReadCache == kubevisionv1alpha1.ReadCacheDisabled {
		return true
	}
	found := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterReadCacheCondition)
	return found != nil && found.Status == metav1.ConditionFalse && found.Reason == kubevisionv1alpha1.ReasonDisabled
}

// with records whether the registration disables the read cache, and returns the connection. If the cache is disabled,
// ReaderDone is closed until the cache is enabled again.
func (c *Connection) with(registration *kubevisionv1alpha1.KubeVisionCluster) *Connection {
	if c.reader != nil {
		c.reader.setDisabled(isReadCacheDisabled(registration))
	}
	return c
}

// IsReadCacheDisabled returns true if the registration of the cluster disables the read cache.
func (c *Connection) IsReadCacheDisabled() bool { return c.reader == nil || c.reader.disabled.Load() }

// ReaderDone returns a channel that is closed when the access of the read cache ends: the connection is closed, or the
// registration disables the cache. The caller must then drop all data that the reader has read.
func (c *Connection) ReaderDone() <-chan struct{} {
	if c.reader == nil {
		return c.Done()
	}
	return c.reader.done()
}

// watchReadCache ends the access of the read cache as soon as a registration disables it, without waiting for the next
// request.
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

// setReadCache applies the mode of a registration to its open connections.
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
			o.connection.with(registration)
		}
	}
}
