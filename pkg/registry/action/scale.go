// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/types"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const subresourceScale = "scale"

func scale(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	const field = "replicas"
	t, err := objectref.ReadSubresource(r, caller, "get", subresourceScale)
	if err != nil {
		return routes.Result{}, err
	}
	var request dashboardv1alpha1.ScaleRequest
	if err := r.ReadJSON(&request); err != nil {
		return routes.Result{}, err
	}
	if request.Replicas == nil {
		return routes.Result{}, envelope.Required(field)
	}
	if *request.Replicas < 0 {
		return routes.Result{}, envelope.Invalid(field, "replicas must not be negative")
	}
	answer, err := patch(r.Context(), caller, t, change{
		subresource: subresourceScale, kind: types.MergePatchType,
		body: object{"spec": object{"replicas": *request.Replicas}},
	})
	if err != nil {
		return routes.Result{}, err
	}
	var found autoscalingv1.Scale
	err = objects.Read(answer.Body, budget.AccountFrom(r.Context()), &found)
	return routes.Result{
		Data: dashboardv1alpha1.Scale{Replicas: found.Spec.Replicas, CurrentReplicas: found.Status.Replicas},
		Meta: dashboardv1alpha1.Meta{Warnings: answer.Warnings},
	}, err
}

func plural(t objectref.Target) string { return t.Resource.GroupVersionResource.Resource }
