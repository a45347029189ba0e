// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of the field metricsStatus.
const (
	// MetricsAvailable means that the object contains the metrics of the Pod.
	MetricsAvailable = "available"
	// MetricsPending means that the cluster has no measurement of the Pod yet.
	MetricsPending = "pending"
	// MetricsUnavailable means that the cluster serves no metrics, or not to the caller.
	MetricsUnavailable = "unavailable"
)

// PodMetrics is what a Pod uses, beside what it asked for.
type PodMetrics struct {
	ResourceUse `json:",inline"`
	// timestamp is the end of the interval in which it was measured.
	Timestamp metav1.Time `json:"timestamp"`
	// window is the length of the interval.
	// +optional
	Window string `json:"window,omitempty"`
	// containers are what each of them uses.
	// +listType=map
	// +listMapKey=name
	Containers []ContainerMetrics `json:"containers"`
}

// ContainerMetrics is what a container uses.
type ContainerMetrics struct {
	// name is the name of the container.
	Name        string `json:"name"`
	ResourceUse `json:",inline"`
}

// ResourceUse is what is used, requested and allowed at most.
type ResourceUse struct {
	// cpuMilli is the use of CPU, in thousandths of one.
	CPUMilli int64 `json:"cpuMilli"`
	// memoryBytes is the memory in use.
	MemoryBytes int64 `json:"memoryBytes"`
	// cpuRequestMilli is the CPU requested.
	// +optional
	CPURequestMilli *int64 `json:"cpuRequestMilli,omitempty"`
	// cpuLimitMilli is the CPU allowed at most.
	// +optional
	CPULimitMilli *int64 `json:"cpuLimitMilli,omitempty"`
	// memoryRequestBytes is the memory requested.
	// +optional
	MemoryRequestBytes *int64 `json:"memoryRequestBytes,omitempty"`
	// memoryLimitBytes is the memory allowed at most.
	// +optional
	MemoryLimitBytes *int64 `json:"memoryLimitBytes,omitempty"`
}
