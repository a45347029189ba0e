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

// added are the fields that dashboards add at the top level to the objects that they were given, and the fresh code of
// the caller.
func added() []string {
	return []string{"raw", "name", "namespace", "metrics", "metricsStatus", dashboardv1alpha1.CodeField}
}

// dropAdded removes what dashboards have added, but no field that the kind has. If the cluster publishes no schema of
// the kind, all fields stay: the API server refuses those that it does not know.
func (m manifestObject) dropAdded(ctx context.Context, caller *clusters.Caller, r clusters.Resource) {
	has := func(field string) bool {
		found, _ := objects.HasField(r.GroupVersion().WithKind(r.Kind), field)
		return found
	}
	if _, known := objects.HasField(r.GroupVersion().WithKind(r.Kind)); !known && m.hasAdded() {
		schema, err := caller.Schema(ctx, r)
		if err != nil {
			klog.FromContext(ctx).V(3).Info("There is no schema to compare a manifest with",
				"kind", r.Kind, "reason", err.Error())
			return
		}
		has = schema.Has
	}
	for _, field := range added() {
		if !has(field) {
			delete(m, field)
		}
	}
}

func (m manifestObject) hasAdded() bool {
	for _, field := range added() {
		if _, ok := m[field]; ok {
			return true
		}
	}
	return false
}
