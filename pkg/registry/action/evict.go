// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

const (
	// evictionPause is the time between two attempts to evict a Pod.
	evictionPause = 2 * time.Second
	// reserve is a period before the deadline of the request. No eviction begins in this period, so that evictions in
	// progress can end before the deadline.
	reserve = 5 * time.Second
)

// evictAll evicts the Pods with the given indexes in d.found, and returns the number of Pods that were not evicted. If
// a PodDisruptionBudget or an overloaded cluster blocks an eviction, evictAll retries the eviction until the deadline
// d.until. It attempts to evict every Pod once before it retries any eviction, so that blocked Pods do not delay all
// others.
func (d *draining) evictAll(ctx context.Context, podIndexes []int) (left int, err error) {
	blocked := podIndexes
	for len(blocked) > 0 {
		err := fanout.Each(ctx, len(blocked), maxCalls, func(ctx context.Context, i int) error {
			d.evict(ctx, blocked[i])
			return nil
		})
		if err != nil {
			return 0, err
		}
		blocked = d.withStatus(blocked, dashboardv1alpha1.DrainBlocked)
		if d.options.DryRun || len(blocked) == 0 || !d.pause(ctx) {
			break
		}
	}
	return len(blocked) + len(d.withStatus(podIndexes, dashboardv1alpha1.DrainFailed)), nil
}

func (d *draining) withStatus(pods []int, status string) []int {
	var out []int
	for _, i := range pods {
		if d.results[i].Status == status {
			out = append(out, i)
		}
	}
	return out
}

// pause waits until the next attempt. It returns false if ctx has ended, or if there is no time for another attempt.
func (d *draining) pause(ctx context.Context) bool {
	left := time.Until(d.until)
	if left <= 0 {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(min(left, evictionPause)):
		return true
	}
}

// evict attempts to evict the Pod with the index i, and records the outcome.
func (d *draining) evict(ctx context.Context, i int) {
	pod, result := &d.found[i], &d.results[i]
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < reserve {
		if result.Status == "" {
			result.Status, result.Reason = dashboardv1alpha1.DrainBlocked, "the timeout expired before its eviction: "+
				"repeat the drain"
		}
		return
	}
	err := d.callEviction(ctx, pod)
	result.Status, result.Reason = dashboardv1alpha1.DrainEvicted, ""
	switch {
	case err == nil:
		if d.options.DryRun {
			result.Reason = "dry run"
		}
	case apierrors.IsNotFound(err), apierrors.IsConflict(err): // a conflict means that another Pod has the name now
		result.Reason = "it was already deleted"
	case apierrors.IsTooManyRequests(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		result.Status, result.Reason = dashboardv1alpha1.DrainBlocked, blockedBy(err)
	default:
		known := d.failure(ctx, pod, err)
		result.Status, result.Reason, result.Code = dashboardv1alpha1.DrainFailed, known.Message, known.Code
	}
}

func (d *draining) target(pod *corev1.Pod) objectref.Target {
	return objectref.Target{Resource: d.pods.Resource, Namespace: pod.Namespace, Name: pod.Name}
}

func (d *draining) callEviction(ctx context.Context, pod *corev1.Pod) error {
	eviction := policyv1.Eviction{
		TypeMeta:   metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "Eviction"},
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: &metav1.DeleteOptions{
			GracePeriodSeconds: d.options.GracePeriodSeconds,
			Preconditions:      metav1.NewUIDPreconditions(string(pod.UID)),
		},
	}
	body, err := json.Marshal(eviction)
	if err != nil {
		return errors.Join(errors.New("encoding an eviction"), err)
	}
	call := d.target(pod).Call(http.MethodPost)
	call.Subresource, call.Body, call.Query, call.Once = "eviction", body, dryRunQuery(d.options.DryRun), true
	_, err = d.caller.Do(ctx, call)
	return err
}

// blockedBy returns the reason for which an eviction is blocked, as a text for the user. The reason is a
// PodDisruptionBudget or an overloaded cluster.
func blockedBy(err error) string {
	if cause, ok := apierrors.StatusCause(err, policyv1.DisruptionBudgetCause); ok {
		return "a PodDisruptionBudget does not allow the eviction now: " + cause.Message
	}
	return "the cluster is overloaded"
}

// failure converts the error of a failed eviction to an error with a code.
func (d *draining) failure(ctx context.Context, pod *corev1.Pod, err error) *envelope.Error {
	if apierrors.IsInternalError(err) && strings.Contains(err.Error(), "PodDisruptionBudget") {
		return envelope.New(dashboardv1alpha1.CodeConflict,
			"more than one PodDisruptionBudget selects it, so Kubernetes does not evict it").WithCause(err)
	}
	t := d.target(pod)
	attributes := t.Attributes("create")
	attributes.Subresource = "eviction"
	return envelope.As(authorization.CallError(ctx, d.caller, attributes, err))
}
