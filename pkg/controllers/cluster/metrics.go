// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

var (
	conditionDesc = metrics.NewDesc("kubevision_cluster_condition",
		"1 if a condition of a KubeVisionCluster is True, 0 if it is False, and -1 if it is Unknown.",
		[]string{"cluster", "condition"}, nil, metrics.ALPHA, "")
	expirationDesc = metrics.NewDesc("kubevision_cluster_credentials_expiration_timestamp_seconds",
		"Time at which the registered credential of a KubeVisionCluster expires, in seconds since 1970.",
		[]string{"cluster"}, nil, metrics.ALPHA, "")
)

// collectTimeout bounds the time to list KubeVisionClusters from the cache.
const collectTimeout = 5 * time.Second

// collector computes the metrics from the KubeVisionClusters at each scrape, so that a deleted KubeVisionCluster has no
// time series.
type collector struct {
	metrics.BaseStableCollector

	reader client.Reader
}

// NewCollector returns a collector of the metrics of all KubeVisionClusters. The reader must read from a cache.
func NewCollector(reader client.Reader) metrics.StableCollector { return &collector{reader: reader} }

// DescribeWithStability implements metrics.StableCollector.
func (c *collector) DescribeWithStability(out chan<- *metrics.Desc) {
	out <- conditionDesc
	out <- expirationDesc
}

// CollectWithStability implements metrics.StableCollector.
func (c *collector) CollectWithStability(out chan<- metrics.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := c.reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		klog.FromContext(ctx).Error(err, "Failed to list clusters for the metrics")
		return
	}
	for i := range all.Items {
		name, status := all.Items[i].Name, &all.Items[i].Status
		for _, condition := range status.Conditions {
			out <- metrics.NewLazyConstMetric(conditionDesc, metrics.GaugeValue, conditionValue(condition.Status),
				name, condition.Type)
		}
		if ends := status.CredentialsExpirationTime; ends != nil {
			out <- metrics.NewLazyConstMetric(expirationDesc, metrics.GaugeValue, float64(ends.Unix()), name)
		}
	}
}

func conditionValue(status metav1.ConditionStatus) float64 {
	switch status {
	case metav1.ConditionTrue:
		return 1
	case metav1.ConditionFalse:
		return 0
	default:
		return -1
	}
}
