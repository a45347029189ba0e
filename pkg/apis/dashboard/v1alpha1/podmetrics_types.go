// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of Object.MetricsStatus.
const (
	// MetricsAvailable means that the field metrics contains the metrics of the Pod.
	MetricsAvailable = "available"
	// MetricsPending means that the cluster has no measurement of the Pod yet.
	MetricsPending = "pending"
	// MetricsUnavailable means that the cluster serves no metrics, or that the caller may not read them.
	MetricsUnavailable = "unavailable"
)

// PodMetrics contains the usage, the requests and the limits of a Pod.
type PodMetrics struct {
	ResourceUse `json:",inline"`
	// timestamp is the end of the interval in which the usage was measured.
	Timestamp metav1.Time `json:"timestamp"`
	// window is the length of the interval in which the usage was measured.
	// +optional
	Window string `json:"window,omitempty"`
	// containers contains the usage of each container.
	// +listType=map
	// +listMapKey=name
	Containers []ContainerMetrics `json:"containers"`
}

// ContainerMetrics contains the usage of a container.
type ContainerMetrics struct {
	// name is the name of the container.
	Name        string `json:"name"`
	ResourceUse `json:",inline"`
}

// ResourceUse contains the usage, the requests and the limits of resources.
type ResourceUse struct {
	// cpuMilli is the usage of CPU, in millicores.
	CPUMilli int64 `json:"cpuMilli"`
	// memoryBytes is the usage of memory.
	MemoryBytes int64 `json:"memoryBytes"`
	// cpuRequestMilli is the request of CPU.
	// +optional
	CPURequestMilli *int64 `json:"cpuRequestMilli,omitempty"`
	// cpuLimitMilli is the limit of CPU.
	// +optional
	CPULimitMilli *int64 `json:"cpuLimitMilli,omitempty"`
	// memoryRequestBytes is the request of memory.
	// +optional
	MemoryRequestBytes *int64 `json:"memoryRequestBytes,omitempty"`
	// memoryLimitBytes is the limit of memory.
	// +optional
	MemoryLimitBytes *int64 `json:"memoryLimitBytes,omitempty"`
}
