// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package podmetrics

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

// readOne gets the metrics of the Pod t. The keys of the result are pairs of a namespace and a name. It returns nil if
// the cluster has no metrics of the Pod.
func readOne(ctx context.Context, caller *scopedlist.Client, t objectref.Target) (map[[2]string]Measured, error) {
	answer, err := caller.Do(ctx, t.Call(""))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m Measured
	if err := objects.Read(answer.Body, budget.AccountFrom(ctx), &m); err != nil {
		return nil, fmt.Errorf("reading the metrics of a pod: %w", err)
	}
	return map[[2]string]Measured{{t.Namespace, t.Name}: m}, nil
}

// describe returns the metrics of a Pod and of each of its containers. The usage is from m, and the requests and limits
// are from p.
func describe(p *podSpec, m Measured) *dashboardv1alpha1.PodMetrics {
	out := &dashboardv1alpha1.PodMetrics{Timestamp: m.Timestamp, Window: m.Window,
		Containers: []dashboardv1alpha1.ContainerMetrics{}}
	wanted := make(map[string]corev1.ResourceRequirements, len(p.Containers))
	for _, c := range p.Containers {
		wanted[c.Name] = c.Resources
	}
	for _, c := range m.Containers {
		use := dashboardv1alpha1.ResourceUse{
			CPUMilli: c.Usage.Cpu().MilliValue(), MemoryBytes: c.Usage.Memory().Value(),
			CPURequestMilli: cpu(wanted[c.Name].Requests), CPULimitMilli: cpu(wanted[c.Name].Limits),
			MemoryRequestBytes: memory(wanted[c.Name].Requests), MemoryLimitBytes: memory(wanted[c.Name].Limits),
		}
		out.Containers = append(out.Containers, dashboardv1alpha1.ContainerMetrics{Name: c.Name, ResourceUse: use})
		out.CPUMilli += use.CPUMilli
		out.MemoryBytes += use.MemoryBytes
	}
	for _, c := range p.Containers {
		add(&out.CPURequestMilli, cpu(c.Resources.Requests))
		add(&out.CPULimitMilli, cpu(c.Resources.Limits))
		add(&out.MemoryRequestBytes, memory(c.Resources.Requests))
		add(&out.MemoryLimitBytes, memory(c.Resources.Limits))
	}
	return out
}

func cpu(l corev1.ResourceList) *int64 {
	if q, ok := l[corev1.ResourceCPU]; ok {
		return new(q.MilliValue())
	}
	return nil
}

func memory(l corev1.ResourceList) *int64 {
	if q, ok := l[corev1.ResourceMemory]; ok {
		return new(q.Value())
	}
	return nil
}

func add(sum **int64, n *int64) {
	switch {
	case n == nil:
	case *sum == nil:
		*sum = new(*n)
	default:
		**sum += *n
	}
}
