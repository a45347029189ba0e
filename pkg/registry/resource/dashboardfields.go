// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"

	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

// dashboardFields returns the top-level fields that a dashboard may add to an object before it sends the object to the
// server. One of these fields contains the one-time code of the caller's second factor.
func dashboardFields() []string {
	return []string{"raw", "name", "namespace", "metrics", "metricsStatus", dashboardv1alpha1.CodeField}
}

// dropDashboardFields removes the fields in dashboardFields that the kind does not have. For a kind that is not part of
// Kubernetes, it reads the schema from the cluster. If the schema cannot be read, dropDashboardFields removes nothing,
// and kube-apiserver rejects unknown fields.
func (m manifestObject) dropDashboardFields(ctx context.Context, caller *clusters.Client, r clusters.Resource) {
	has := func(field string) bool {
		found, _ := objects.HasField(r.GroupVersion().WithKind(r.Kind), field)
		return found
	}
	if _, known := objects.HasField(r.GroupVersion().WithKind(r.Kind)); !known && m.hasDashboardFields() {
		schema, err := caller.Schema(ctx, r)
		if err != nil {
			klog.FromContext(ctx).V(3).Info("There is no schema to compare a manifest with",
				"kind", r.Kind, "reason", err.Error())
			return
		}
		has = schema.Has
	}
	for _, field := range dashboardFields() {
		if !has(field) {
			delete(m, field)
		}
	}
}

func (m manifestObject) hasDashboardFields() bool {
	for _, field := range dashboardFields() {
		if _, ok := m[field]; ok {
			return true
		}
	}
	return false
}
