// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// restartedAt is the annotation that kubectl rollout restart sets in the Pod template. A change of the annotation
// triggers a rollout.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

func isDeployment(t objectref.Target) bool {
	return t.Resource.GroupResource() == schema.GroupResource{Group: appsv1.GroupName, Resource: "deployments"}
}

func isPod(t objectref.Target) bool {
	return t.Resource.GroupResource() == corev1.Resource("pods")
}

// hasTemplate returns true if t is a Deployment, StatefulSet or DaemonSet.
func hasTemplate(t objectref.Target) bool {
	switch t.Resource.GroupVersionResource.Resource {
	case "deployments", "statefulsets", "daemonsets":
		return t.Resource.Group == appsv1.GroupName
	default:
		return false
	}
}

func restart(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	t, err := objectref.ReadObject(r, caller, "get")
	if err != nil {
		return routes.Result{}, err
	}
	if err := checkRestart(t); err != nil {
		return routes.Result{}, err
	}
	warnings, err := restartTarget(r.Context(), caller, t)
	return routes.Result{Meta: dashboardv1alpha1.Meta{Warnings: warnings}}, err
}

// checkRestart returns an error if t is not a Deployment, StatefulSet, DaemonSet or Pod.
func checkRestart(t objectref.Target) error {
	if isPod(t) || hasTemplate(t) {
		return nil
	}
	return envelope.Invalid(objectref.Resource,
		"%s cannot be restarted: only deployments, statefulsets, daemonsets and pods can", plural(t))
}

// restartMethod returns the HTTP method with which restartTarget changes t: DELETE for a Pod, and PATCH for a workload.
func restartMethod(t objectref.Target) string {
	if isPod(t) {
		return http.MethodDelete
	}
	return http.MethodPatch
}

// restartTarget restarts t, and returns the warnings of the API server. The caller must call checkRestart first.
func restartTarget(ctx context.Context, caller *clusters.Client, t objectref.Target) ([]string, error) {
	if isPod(t) {
		return restartPod(ctx, caller, t)
	}
	timestamp := time.Now().UTC().Format(time.RFC3339)
	if isDeployment(t) {
		answer, err := restartDeployment(ctx, caller, t, timestamp)
		return answer.Warnings, err
	}
	answer, err := patch(ctx, caller, t,
		change{kind: types.MergePatchType, body: object{"spec": object{"template": object{
			"metadata": object{"annotations": object{restartedAt: timestamp}},
		}}}})
	if err != nil {
		return nil, err
	}
	var changed struct {
		Spec struct {
			UpdateStrategy struct {
				Type string `json:"type"`
			} `json:"updateStrategy"`
		} `json:"spec"`
	}
	if err := objects.Read(answer.Body, budget.AccountFrom(ctx), &changed); err != nil {
		return nil, err
	}
	warnings := answer.Warnings
	if changed.Spec.UpdateStrategy.Type == string(appsv1.OnDeleteStatefulSetStrategyType) {
		warnings = append(warnings, fmt.Sprintf(
			"the update strategy of %q in namespace %q is OnDelete: its Pods restart when they are deleted",
			t.Name, t.Namespace))
	}
	return warnings, nil
}

// restartDeployment sets the annotation restartedAt in the Pod template of a Deployment to the timestamp. It returns an
// error with CodeConflict if the Deployment is paused, because a rollout would only begin when the Deployment is
// resumed.
func restartDeployment(
	ctx context.Context, caller *clusters.Client, t objectref.Target, timestamp string,
) (answer clusters.Response, err error) {
	var before, found appsv1.Deployment
	if err := read(ctx, caller, t, &found); err != nil {
		return answer, err
	}
	for range maxTries {
		if found.Spec.Paused {
			return answer, pausedError(t)
		}
		answer, err = patch(ctx, caller, t, change{kind: types.JSONPatchType, body: restartSteps(&found, timestamp)})
		if err == nil || !isRejected(err) {
			return answer, err
		}
		before, found = found, appsv1.Deployment{}
		if err := read(ctx, caller, t, &found); err != nil {
			return answer, err
		}
		unchanged := found.UID == before.UID && found.Generation == before.Generation
		if unchanged && envelope.As(err).Code == dashboardv1alpha1.CodeRejected {
			return answer, err // the cluster does not accept the annotation
		}
	}
	if found.Spec.Paused {
		return answer, pausedError(t)
	}
	return answer, envelope.New(dashboardv1alpha1.CodeStale,
		"deployment %q was changed during the restart: try again", t.Name).WithCause(err)
}

// restartSteps returns the JSON patch that sets the annotation restartedAt in the Pod template of the Deployment d. The
// patch fails if the Deployment has been paused since d was read.
func restartSteps(d *appsv1.Deployment, timestamp string) []step {
	notPaused := step{Op: opTest, Path: pausedPath}
	if d.Spec.Template.Annotations == nil {
		return []step{
			notPaused, {Op: opTest, Path: templateAnnotationsPath},
			{Op: "add", Path: templateAnnotationsPath, Value: map[string]string{restartedAt: timestamp}},
		}
	}
	// RFC 6901 escapes the slash.
	path := templateAnnotationsPath + "/" + strings.ReplaceAll(restartedAt, "/", "~1")
	return []step{notPaused, {Op: "add", Path: path, Value: timestamp}}
}

// restartPod deletes the Pod t, so that its controller replaces it. It adds a warning if the Pod has no controller.
func restartPod(ctx context.Context, caller *clusters.Client, t objectref.Target) ([]string, error) {
	answer, err := remove(ctx, caller, t)
	if err != nil {
		return nil, err
	}
	var deleted metav1.PartialObjectMetadata
	if err := objects.Read(answer.Body, budget.AccountFrom(ctx), &deleted); err != nil {
		return nil, err
	}
	warnings := answer.Warnings
	if deleted.Kind == "Pod" && metav1.GetControllerOf(&deleted) == nil {
		warnings = append(warnings, fmt.Sprintf("pod %q in namespace %q has no controller that would recreate it",
			t.Name, t.Namespace))
	}
	return warnings, nil
}

// pausedError returns the error for a Deployment that cannot be rolled out because it is paused.
func pausedError(t objectref.Target) error {
	return envelope.New(dashboardv1alpha1.CodeConflict,
		"deployment %q is paused: resume it first (set spec.paused to false)", t.Name)
}
