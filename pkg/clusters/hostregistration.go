// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// hostRegistration caches the UID of the KubeVisionCluster that represents the host cluster. Each request to the host
// cluster needs this UID. hostRegistration lists the KubeVisionClusters again only after one of them has changed,
// because there may be a thousand of them.
type hostRegistration struct {
	reader  client.Reader
	changes atomic.Int64

	mu      sync.Mutex
	version int64
	// selectedUID is the cached UID of the KubeVisionCluster that represents the host cluster, or empty.
	selectedUID types.UID
}

// newHostRegistration returns a hostRegistration that reads KubeVisionClusters from the cache.
func newHostRegistration(ctx context.Context, c cache.Cache) (*hostRegistration, error) {
	h := &hostRegistration{reader: c}
	h.changes.Store(1)
	informer, err := c.GetInformer(ctx, &kubevisionv1alpha1.KubeVisionCluster{}, cache.BlockUntilSynced(false))
	if err == nil {
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { h.changes.Add(1) },
			UpdateFunc: func(any, any) { h.changes.Add(1) },
			DeleteFunc: func(any) { h.changes.Add(1) },
		})
	}
	if err != nil {
		return nil, fmt.Errorf("watching clusters: %w", err)
	}
	return h, nil
}

// uid returns the UID of the KubeVisionCluster that represents the host cluster, or an empty UID if there is none.
func (h *hostRegistration) uid(ctx context.Context) (types.UID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	version := h.changes.Load()
	if version == h.version {
		return h.selectedUID, nil
	}
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := h.reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("listing clusters: %w", err)
	}
	h.version, h.selectedUID = version, ""
	if inForce := HostRegistration(all.Items); inForce != nil {
		h.selectedUID = inForce.UID
	}
	return h.selectedUID, nil
}
