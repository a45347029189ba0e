// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"context"

	corev1 "k8s.io/api/core/v1"

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

func (a amount) most(b amount) amount {
	return amount{cpu: max(a.cpu, b.cpu), memory: max(a.memory, b.memory)}
}

// raised adds to limits. No limit stays no limit.
func (a amount) raised(by amount) amount {
	if a.cpu > 0 {
		a.cpu += by.cpu
	}
	if a.memory > 0 {
		a.memory += by.memory
	}
	return a
}

// addWanted adds the requests and limits of a Pod as the scheduler computes them.
func addWanted(spec *corev1.PodSpec, out *dashboardv1alpha1.OverviewResources) {
	requests := wanted(spec, func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Requests }).plus(amountOf(spec.Overhead))
	limits := wanted(spec, func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }).raised(amountOf(spec.Overhead))
	out.CPU.Requests += requests.cpu
	out.CPU.Limits += limits.cpu
	out.Memory.Requests += requests.memory
	out.Memory.Limits += limits.memory
}

// wanted returns the sum over the containers and the restartable init containers, or the maximum over other init
// containers, whichever is larger. Resources of the Pod as a whole take precedence.
func wanted(spec *corev1.PodSpec, of func(*corev1.ResourceRequirements) corev1.ResourceList) amount {
	var running, starting amount
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		need := amountOf(of(&c.Resources))
		starting = starting.most(running.plus(need))
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			running = running.plus(need)
		}
	}
	for i := range spec.Containers {
		running = running.plus(amountOf(of(&spec.Containers[i].Resources)))
	}
	total := running.most(starting)
	if spec.Resources != nil {
		whole := of(spec.Resources)
		if q, ok := whole[corev1.ResourceCPU]; ok {
			total.cpu = q.MilliValue()
		}
		if q, ok := whole[corev1.ResourceMemory]; ok {
			total.memory = q.Value()
		}
	}
	return total
}

// usage is the usage in the metrics API.
type usage struct {
	amount
	known bool
}

// nodeKind returns the kind that reads the usage of the nodes.
func (u *usage) nodeKind() scopedlist.Kind {
	return scopedlist.Kind{Resource: "nodes.metrics.k8s.io", Read: func(ctx context.Context, _ clusters.Resource, a scopedlist.Result) error {
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

// podKind returns the kind that reads the usage of the Pods, for callers who may not read that of the nodes.
func (u *usage) podKind() scopedlist.Kind {
	return scopedlist.Kind{Resource: podmetrics.Resource, Read: func(ctx context.Context, _ clusters.Resource, a scopedlist.Result) error {
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
