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

// dashboardFields are the fields that dashboards add at the top level to the objects that they were given, and the
// fresh code of the caller.
func dashboardFields() []string {
	return []string{"raw", "name", "namespace", "metrics", "metricsStatus", dashboardv1alpha1.CodeField}
}

// dropDashboardFields removes what dashboards have added, but no field that the kind has. If the cluster publishes no
// schema of the kind, all fields stay: the API server refuses those that it does not know.
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
