// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	revisionAnnotation    = "deployment.kubernetes.io/revision"
	changeCauseAnnotation = "kubernetes.io/change-cause"
)

// workload contains fields of a Deployment, StatefulSet or DaemonSet. The Pod template is decoded to a map, because a
// Go type would lose fields of newer Kubernetes versions.
type workload struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Paused   bool                  `json:"paused"`
		Selector *metav1.LabelSelector `json:"selector"`
		Template object                `json:"template"`
	} `json:"spec"`
}

// revision is a former or the current Pod template of a workload.
type revision struct {
	number   int64
	metadata metav1.ObjectMeta
	template object
}

// record is an object that stores a revision: a ReplicaSet of a Deployment, or a ControllerRevision of a StatefulSet or
// DaemonSet.
type record struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	// Spec contains the Pod template of a ReplicaSet. It is empty for a ControllerRevision.
	Spec struct {
		Template object `json:"template"`
	} `json:"spec"`
	// Revision is the revision number of a ControllerRevision. It is 0 for a ReplicaSet, which has an annotation with
	// the number instead.
	Revision int64 `json:"revision"`
	// Data contains the Pod template of a ControllerRevision. It is empty for a ReplicaSet.
	Data struct {
		Spec struct {
			Template object `json:"template"`
		} `json:"spec"`
	} `json:"data"`
}

// readRevisions reads the workload to which r refers. It also returns the revisions of the workload, from the oldest to
// the current one.
func readRevisions(r *routes.Request, caller *clusters.Client) (objectref.Target, *workload, []revision, error) {
	t, err := objectref.ReadObject(r, caller, "get")
	if err != nil {
		return objectref.Target{}, nil, nil, err
	}
	if !hasTemplate(t) {
		return objectref.Target{}, nil, nil, envelope.Invalid(objectref.Resource,
			"%s have no revisions: only deployments, statefulsets and daemonsets do", plural(t))
	}
	w := &workload{}
	if err := read(r.Context(), caller, t, w); err != nil {
		return objectref.Target{}, nil, nil, err
	}
	records, err := readRecords(r.Context(), caller, t, w)
	if err != nil {
		return objectref.Target{}, nil, nil, err
	}
	revisions := make([]revision, 0, len(records))
	for i := range records {
		if owner := metav1.GetControllerOf(&records[i].Metadata); owner == nil || owner.UID != w.Metadata.UID {
			continue
		}
		if found, ok := records[i].revision(isDeployment(t)); ok {
			revisions = append(revisions, found)
		}
	}
	slices.SortFunc(revisions, func(a, b revision) int { return cmp.Compare(a.number, b.number) })
	return t, w, revisions, nil
}

func readRecords(ctx context.Context, caller *clusters.Client, t objectref.Target, w *workload) ([]record, error) {
	kind := "controllerrevisions.apps"
	if isDeployment(t) {
		kind = "replicasets.apps"
	}
	records, err := objectref.Find(ctx, caller, "list", kind, t.Namespace, "")
	if err != nil {
		return nil, err
	}
	selector := metav1.FormatLabelSelector(w.Spec.Selector)
	return list[record](ctx, caller, records, url.Values{"labelSelector": {selector}}, nil)
}

// revision returns the revision that r stores. ofDeployment is true if r is a ReplicaSet, and false if r is a
// ControllerRevision. The second result is false if the ReplicaSet has no revision number yet, or if the
// ControllerRevision has no Pod template.
func (r *record) revision(ofDeployment bool) (revision, bool) {
	if !ofDeployment {
		// A ControllerRevision stores a strategic merge patch. The key $patch is a directive of this patch, and no part
		// of the template.
		delete(r.Data.Spec.Template, "$patch")
		return revision{number: r.Revision, metadata: r.Metadata,
			template: r.Data.Spec.Template}, r.Data.Spec.Template != nil
	}
	number, err := strconv.ParseInt(r.Metadata.Annotations[revisionAnnotation], 10, 64)
	unstructured.RemoveNestedField(r.Spec.Template, "metadata", "labels", "pod-template-hash")
	return revision{number: number, metadata: r.Metadata, template: r.Spec.Template}, err == nil
}

func history(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	_, _, revisions, err := readRevisions(r, caller)
	if err != nil {
		return routes.Result{}, err
	}
	out := make([]dashboardv1alpha1.Revision, 0, len(revisions))
	for i := range revisions {
		out = append(out, dashboardv1alpha1.Revision{
			Revision: revisions[i].number, ChangeCause: revisions[i].metadata.Annotations[changeCauseAnnotation],
			Name: revisions[i].metadata.Name, CreatedAt: revisions[i].metadata.CreationTimestamp,
			Current: i == len(revisions)-1, Images: images(revisions[i].template),
		})
	}
	return routes.Result{
		Data: out, Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer, Total: new(int64(len(out)))},
	}, nil
}

func images(template object) []string {
	containers, _, _ := unstructured.NestedFieldNoCopy(template, "spec", "containers")
	list, _ := containers.([]any)
	out := make([]string, 0, len(list))
	for _, c := range list {
		container, _ := c.(object)
		if image, ok := container["image"].(string); ok {
			out = append(out, image)
		}
	}
	return out
}
