// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

func cordon(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	return schedule(r, caller, true)
}

func uncordon(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	return schedule(r, caller, false)
}

func schedule(r *routes.Request, caller *clusters.Client, unschedulable bool) (routes.Result, error) {
	t, err := objectref.Find(r.Context(), caller, "patch", "nodes", "", r.Path(objectref.Name))
	if err != nil {
		return routes.Result{}, err
	}
	answer, err := setUnschedulable(r.Context(), caller, t, unschedulable, nil)
	if err != nil {
		return routes.Result{}, err
	}
	var found corev1.Node
	err = objects.Read(answer.Body, budget.AccountFrom(r.Context()), &found)
	return routes.Result{
		Data: dashboardv1alpha1.NodeScheduling{Name: found.Name, Unschedulable: found.Spec.Unschedulable},
		Meta: dashboardv1alpha1.Meta{Warnings: answer.Warnings},
	}, err
}

func setUnschedulable(
	ctx context.Context, caller *clusters.Client, node objectref.Target, value bool, query url.Values,
) (clusters.Response, error) {
	return patch(ctx, caller, node, change{kind: types.MergePatchType,
		body: object{"spec": object{"unschedulable": value}}, query: query})
}

// dryRunQuery returns the query parameters of a dry run, or nil if dryRun is false.
func dryRunQuery(dryRun bool) url.Values {
	if !dryRun {
		return nil
	}
	return url.Values{"dryRun": {metav1.DryRunAll}}
}
