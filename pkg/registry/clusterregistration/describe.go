// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// describe converts c to a response. With details, the response contains all fields. Without details, it contains only
// the fields that every user of the cluster may see.
func describe(c *kubevisionv1alpha1.KubeVisionCluster, withDetails bool) dashboardv1alpha1.Cluster {
	out := dashboardv1alpha1.Cluster{
		ID: c.Name, Name: c.Name, DisplayName: cmp.Or(c.Spec.DisplayName, c.Name), Status: health(c.Status.Conditions),
		Version: c.Status.Version, APIServer: c.Status.APIServer, CreatedAt: c.CreationTimestamp,
	}
	if !withDetails {
		return out
	}
	out.AuthType, out.Labels = dashboardv1alpha1.AuthTypeKubeconfig, c.Labels
	if c.Spec.InCluster {
		out.AuthType = dashboardv1alpha1.AuthTypeInCluster
	}
	if n := c.Status.Nodes; n != nil {
		out.Nodes = &dashboardv1alpha1.ClusterNodes{Total: n.Total, Ready: n.Ready}
	}
	out.ResourceVersion, out.Conditions = c.ResourceVersion, c.Status.Conditions
	return out
}

func health(conditions []metav1.Condition) string {
	ready := meta.FindStatusCondition(conditions, kubevisionv1alpha1.ReadyCondition)
	switch {
	case ready == nil || ready.Status == metav1.ConditionUnknown:
		return dashboardv1alpha1.ClusterPending
	case ready.Status == metav1.ConditionTrue:
		return dashboardv1alpha1.ClusterHealthy
	default:
		return dashboardv1alpha1.ClusterUnhealthy
	}
}
