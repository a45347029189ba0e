// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	fieldRevision = "revision"
	// maxTries bounds the attempts of a rollback or restart. An attempt fails if an annotation changes between the read
	// and the patch.
	maxTries = 5

	opTest          = "test"
	templatePath    = "/spec/template"
	annotationsPath = "/metadata/annotations"
	pausedPath      = "/spec/paused"

	templateAnnotationsPath = "/spec/template/metadata/annotations"
)

func rollback(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	var request dashboardv1alpha1.RollbackRequest
	if err := r.ReadJSON(&request); err != nil {
		return routes.Result{}, err
	}
	if request.Revision == nil {
		return routes.Result{}, envelope.Required(fieldRevision)
	}
	if *request.Revision < 0 {
		return routes.Result{}, envelope.Invalid(fieldRevision,
			"revision must not be negative; 0 is the previous revision")
	}
	t, w, revisions, err := readRevisions(r, caller)
	if err != nil {
		return routes.Result{}, err
	}
	if w.Spec.Paused {
		return routes.Result{}, pausedError(t)
	}
	chosen, err := findRevision(t, revisions, *request.Revision)
	if err != nil {
		return routes.Result{}, err
	}
	changed := !reflect.DeepEqual(w.Spec.Template, chosen.template)
	// A rollback without a change is also sent to the cluster, because the cluster must check the caller's permission.
	answer, err := rollbackTo(r.Context(), caller, t, w, chosen, changed && isDeployment(t))
	return routes.Result{
		Data: dashboardv1alpha1.Rollback{Revision: chosen.number, Changed: changed},
		Meta: dashboardv1alpha1.Meta{Warnings: answer.Warnings},
	}, err
}

// rollbackTo replaces the Pod template of w by the template of the given revision. If withAnnotations is true,
// rollbackTo also restores the annotations of the revision. After w was read, the workload may have been paused, or its
// Pod template may have changed. In both cases, rollbackTo returns an error with CodeStale. If only annotations have
// changed, rollbackTo retries.
func rollbackTo(
	ctx context.Context, caller *clusters.Client, t objectref.Target, w *workload, chosen *revision,
	withAnnotations bool,
) (answer clusters.Response, err error) {
	for range maxTries {
		answer, err = patch(ctx, caller, t,
			change{kind: types.JSONPatchType, body: patchSteps(w, chosen, withAnnotations)})
		if err == nil || !isRejected(err) {
			return answer, err
		}
		now := &workload{}
		if err := read(ctx, caller, t, now); err != nil {
			return answer, err
		}
		if now.Metadata.UID != w.Metadata.UID || !reflect.DeepEqual(now.Spec, w.Spec) {
			break
		}
		unchanged := reflect.DeepEqual(now.Metadata.Annotations, w.Metadata.Annotations)
		if unchanged && envelope.As(err).Code == dashboardv1alpha1.CodeRejected {
			return answer, err // the cluster does not accept the template
		}
		w = now
	}
	return answer, envelope.New(dashboardv1alpha1.CodeStale,
		"%q was changed during the rollback: read its history again", t.Name).WithCause(err)
}

// isRejected returns true if the API server may have rejected a JSON patch because a "test" operation has failed.
func isRejected(err error) bool {
	code := envelope.As(err).Code
	return code == dashboardv1alpha1.CodeRejected || code == dashboardv1alpha1.CodeStale
}

// findRevision returns the revision with the given number. For 0, it returns the revision before the newest recorded
// one. It returns an error if there is no such revision.
func findRevision(t objectref.Target, revisions []revision, number int64) (*revision, error) {
	if number == 0 {
		if len(revisions) < 2 {
			return nil, envelope.New(dashboardv1alpha1.CodeConflict, "%q has no previous revision", t.Name)
		}
		return &revisions[len(revisions)-2], nil
	}
	i := slices.IndexFunc(revisions, func(r revision) bool { return r.number == number })
	if i < 0 {
		return nil, envelope.New(dashboardv1alpha1.CodeNotFound, "%q has no revision %d", t.Name, number)
	}
	return &revisions[i], nil
}

// step is an operation of a JSON patch.
type step struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patchSteps returns the JSON patch that rolls the workload back to the revision. The patch fails if the workload has
// been paused, or if the replaced fields have changed since the workload was read. The ResourceVersion is not tested,
// because the status changes often during a rollout. A merge patch is not used, because it would keep fields that the
// new template does not have.
func patchSteps(w *workload, chosen *revision, withAnnotations bool) []step {
	out := []step{
		{Op: opTest, Path: "/metadata/uid", Value: w.Metadata.UID},
		{Op: opTest, Path: templatePath, Value: w.Spec.Template},
		{Op: opTest, Path: pausedPath}, // null, because kube-apiserver omits paused if it is false
		{Op: "replace", Path: templatePath, Value: chosen.template},
	}
	if withAnnotations {
		out = append(out,
			step{Op: opTest, Path: annotationsPath, Value: w.Metadata.Annotations},
			step{Op: "add", Path: annotationsPath, Value: annotations(w, chosen)})
	}
	return out
}

// annotations returns the annotations of the workload after a rollback. Like kubectl, it restores the annotations of
// the revision, for example the change cause. Some annotations contain state of the Deployment controller or of
// kubectl. These annotations keep the values that they have in w.
func annotations(w *workload, chosen *revision) map[string]string {
	bookkeeping := []string{
		corev1.LastAppliedConfigAnnotation, revisionAnnotation, "deployment.kubernetes.io/revision-history",
		"deployment.kubernetes.io/desired-replicas",
		"deployment.kubernetes.io/max-replicas", "deprecated.deployment.rollback.to",
	}
	out := map[string]string{}
	for key, value := range chosen.metadata.Annotations {
		if !slices.Contains(bookkeeping, key) {
			out[key] = value
		}
	}
	for _, key := range bookkeeping {
		if value, ok := w.Metadata.Annotations[key]; ok {
			out[key] = value
		}
	}
	return out
}
