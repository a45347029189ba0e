// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	podresource "k8s.io/component-helpers/resource"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

// amount is an amount of CPU in millicores and of memory in bytes.
type amount struct{ cpu, memory int64 }

func amountOf(l corev1.ResourceList) amount {
	return amount{cpu: l.Cpu().MilliValue(), memory: l.Memory().Value()}
}

func (a amount) plus(b amount) amount { return amount{cpu: a.cpu + b.cpu, memory: a.memory + b.memory} }

// addRequests computes the requests and limits of a Pod like the scheduler, and adds them to sum.
func addRequests(pod *corev1.Pod, sum *dashboardv1alpha1.OverviewResources) {
	requests := amountOf(podresource.PodRequests(pod, podresource.PodResourcesOptions{}))
	limits := amountOf(podresource.PodLimits(pod, podresource.PodResourcesOptions{}))
	sum.CPU.Requests += requests.cpu
	sum.CPU.Limits += limits.cpu
	sum.Memory.Requests += requests.memory
	sum.Memory.Limits += limits.memory
}

// usage contains two sums from the API metrics.k8s.io: the CPU usage and the memory usage of all nodes. If the caller
// may not list NodeMetrics, usage contains the sums for the Pods that the caller may list.
type usage struct {
	amount
	known bool
}

// nodeMetricsKind returns the kind for NodeMetrics. Its Read function adds the usage of all nodes to u.
func (u *usage) nodeMetricsKind() scopedlist.Kind {
	return scopedlist.Kind{Resource: "nodes.metrics.k8s.io",
		Read: func(ctx context.Context, _ clusters.Resource, a scopedlist.Result) error {
			items, err := scopedlist.Items[struct {
				Usage corev1.ResourceList `json:"usage"`
			}](ctx, a)
			for i := range items {
				u.amount = u.plus(amountOf(items[i].Usage))
			}
			u.known = err == nil && len(items) > 0
			return err
		}}
}

// podMetricsKind returns the kind for PodMetrics. Its Read function adds the usage of all Pods to u. This kind is read
// if the caller may not list NodeMetrics.
func (u *usage) podMetricsKind() scopedlist.Kind {
	return scopedlist.Kind{Resource: podmetrics.Resource,
		Read: func(ctx context.Context, _ clusters.Resource, a scopedlist.Result) error {
			items, err := scopedlist.Items[podmetrics.Measured](ctx, a)
			for i := range items {
				for _, c := range items[i].Containers {
					u.amount = u.plus(amountOf(c.Usage))
				}
			}
			u.known = err == nil && len(items) > 0
			return err
		}}
}

func (u *usage) report(out *dashboardv1alpha1.OverviewResources) {
	out.CPU.Usage, out.Memory.Usage, out.MetricsAvailable = u.cpu, u.memory, u.known
}
