// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// defaultDrainTime is the time, in seconds, for which evictions are retried if the request sets no time.
	defaultDrainTime = 30
	// maxDrainTime is the longest time, in seconds, for which evictions can be retried. It is shorter than the timeout
	// of a request.
	maxDrainTime = 45
)

// draining is the state of one drain.
type draining struct {
	caller  *clusters.Client
	pods    objectref.Target
	options dashboardv1alpha1.DrainRequest
	// until is the time after which evictions are not retried.
	until time.Time
	// found contains the Pods on the node.
	found []corev1.Pod
	// results contains the outcome for each Pod in found, at the same index.
	results []dashboardv1alpha1.DrainedPod
	// unread contains the outcomes of Pods that are too large to be decoded. A drain does not evict these Pods.
	unread []dashboardv1alpha1.DrainedPod
}

func drain(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	ctx := r.Context()
	options, err := drainOptions(r)
	if err != nil {
		return routes.Result{}, err
	}
	node, err := objectref.Find(ctx, caller, "patch", "nodes", "", r.Path(objectref.Name))
	if err != nil {
		return routes.Result{}, err
	}
	pods, err := objectref.Find(ctx, caller, "list", "pods", "", "")
	if err != nil {
		return routes.Result{}, err
	}
	d := &draining{caller: caller, pods: pods, options: options,
		until: time.Now().Add(time.Duration(*options.TimeoutSeconds) * time.Second)}
	// The node is cordoned first, as in kubectl. This also checks whether the caller may change the node.
	answer, err := setUnschedulable(ctx, caller, node, true, dryRunQuery(options.DryRun))
	if err != nil {
		return routes.Result{}, err
	}
	if err := d.list(ctx, node.Name); err != nil {
		return routes.Result{}, err
	}
	waiting, err := d.plan(node.Name)
	if err != nil {
		return routes.Result{}, err
	}
	left, err := d.evictAll(ctx, waiting)
	if err != nil {
		return routes.Result{}, err
	}
	data := d.data(node.Name, left == 0 && len(d.unread) == 0)
	return routes.Result{Data: data,
		Meta: dashboardv1alpha1.Meta{Warnings: answer.Warnings}}, d.nothingEvictedError(waiting, data)
}

// drainOptions returns the options in the request body, which may be empty. It sets the default timeout if the options
// contain none, and returns an error if an option is invalid.
func drainOptions(r *routes.Request) (dashboardv1alpha1.DrainRequest, error) {
	var options dashboardv1alpha1.DrainRequest
	if err := r.ReadOptionalJSON(&options); err != nil {
		return options, err
	}
	if options.GracePeriodSeconds != nil && *options.GracePeriodSeconds < 0 {
		return options, envelope.Invalid("gracePeriodSeconds",
			"gracePeriodSeconds must not be negative; by default each pod has its own grace period")
	}
	if options.TimeoutSeconds == nil {
		options.TimeoutSeconds = new(int64(defaultDrainTime))
	}
	if *options.TimeoutSeconds < 1 || *options.TimeoutSeconds > maxDrainTime {
		return options, envelope.Invalid("timeoutSeconds",
			"timeoutSeconds must be 1 to %d; repeat the drain to continue it", maxDrainTime)
	}
	return options, nil
}

func (d *draining) list(ctx context.Context, node string) error {
	var err error
	query := url.Values{"fieldSelector": {"spec.nodeName=" + node}}
	d.found, err = list[corev1.Pod](ctx, d.caller, d.pods, query, func(namespace, name string) {
		d.unread = append(d.unread, dashboardv1alpha1.DrainedPod{
			Namespace: namespace, Name: name, Status: dashboardv1alpha1.DrainFailed,
			Code: dashboardv1alpha1.CodeConflict, Reason: "it is too large to be read: delete it",
		})
	})
	if err != nil {
		return err
	}
	slices.SortFunc(d.found, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	d.results = make([]dashboardv1alpha1.DrainedPod, len(d.found))
	for i := range d.found {
		d.results[i] = dashboardv1alpha1.DrainedPod{Namespace: d.found[i].Namespace, Name: d.found[i].Name}
	}
	return nil
}

func (d *draining) data(node string, completed bool) dashboardv1alpha1.Drain {
	return dashboardv1alpha1.Drain{Name: node, Completed: completed, DryRun: d.options.DryRun,
		Pods: slices.Concat(d.results, d.unread)}
}

func (d *draining) nothingEvictedError(podIndexes []int, data dashboardv1alpha1.Drain) error {
	if len(podIndexes) == 0 { // There was no Pod to evict.
		return nil
	}
	first := d.results[podIndexes[0]]
	for _, i := range podIndexes {
		if d.results[i].Status != dashboardv1alpha1.DrainFailed || d.results[i].Code != first.Code {
			return nil
		}
	}
	e := envelope.New(first.Code, "no pod could be evicted: %s", first.Reason)
	e.Data = data
	return e
}
