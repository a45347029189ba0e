// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/streams"
	"github.com/kubevision-io/kubevision/pkg/version"
)

// forgetAfter is the time from the deletion of a KubeVisionCluster to the removal of its time series. Requests to the
// cluster have ended by then.
const forgetAfter = 2 * time.Minute

// Metrics returns the metrics of kubevision-apiserver, except those of k8s.io/apiserver.
func Metrics() []metrics.Registerable {
	return slices.Concat(version.Metrics(), filters.Metrics(), clusters.Metrics(), readcache.Metrics(),
		streams.Metrics(), audit.Metrics(), password.Metrics())
}

func registerMetrics() {
	legacyregistry.MustRegister(Metrics()...)
	version.SetBuildInfo()
	audit.InitializeMetrics()
}

// forgetMetrics adds an event handler for KubeVisionClusters to the cache. The handler removes the time series of a
// cluster when the given delay has passed since the deletion of its KubeVisionCluster, unless the cluster was
// registered again.
func forgetMetrics(ctx context.Context, clusterCache cache.Cache, delay time.Duration) error {
	kind := &kubevisionv1alpha1.KubeVisionCluster{}
	informer, err := clusterCache.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching clusters: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(removed any) {
		if final, ok := removed.(toolscache.DeletedFinalStateUnknown); ok {
			removed = final.Obj
		}
		if c, ok := removed.(client.Object); ok {
			time.AfterFunc(delay, func() { forgetCluster(ctx, clusterCache, c.GetName()) })
		}
	}})
	if err != nil {
		return fmt.Errorf("watching clusters: %w", err)
	}
	return nil
}

// forgetCluster removes the time series of a cluster. It does nothing if a KubeVisionCluster with this name exists. In
// this case, the cluster was registered again.
func forgetCluster(ctx context.Context, reader client.Reader, name string) {
	err := reader.Get(ctx, types.NamespacedName{Name: name}, &kubevisionv1alpha1.KubeVisionCluster{})
	if apierrors.IsNotFound(err) {
		filters.ForgetMetrics(name)
		clusters.ForgetMetrics(name)
	}
}
