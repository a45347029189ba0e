// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// NodeScheduling describes whether Pods are scheduled to a node.
type NodeScheduling struct {
	// name is the name of the node.
	Name string `json:"name"`
	// unschedulable is true if no new Pods are scheduled to the node.
	Unschedulable bool `json:"unschedulable"`
}

// NodeSchedulingEnvelope is the response to POST .../cordon and .../uncordon.
type NodeSchedulingEnvelope struct {
	Header `json:",inline"`
	// data is the scheduling state of the node.
	// +optional
	Data *NodeScheduling `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// DrainRequest is the optional body of POST .../drain.
type DrainRequest struct {
	// gracePeriodSeconds is the grace period of the evicted Pods in seconds. Defaults to the grace period of each Pod.
	// +optional
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty"`
	// timeoutSeconds is the time limit for retries, in seconds. An eviction is retried while a PodDisruptionBudget
	// blocks it. Must be between 1 and 45. Defaults to 30.
	// +optional
	TimeoutSeconds *int64 `json:"timeoutSeconds,omitempty"`
	// deleteEmptyDirData allows the eviction of Pods with emptyDir volumes, whose data are lost.
	// +optional
	DeleteEmptyDirData bool `json:"deleteEmptyDirData,omitempty"`
	// force allows the eviction of Pods that no controller recreates.
	// +optional
	Force bool `json:"force,omitempty"`
	// dryRun is true if the request must not change anything. The response then contains the expected result.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`
}

// Values of DrainedPod.Status.
const (
	// DrainEvicted is the status of a Pod that is terminating or gone.
	DrainEvicted = "evicted"
	// DrainSkipped is the status of a Pod that remains on the node, because it belongs to a DaemonSet or is a static
	// Pod.
	DrainSkipped = "skipped"
	// DrainBlocked is the status of a Pod that cannot be evicted now.
	DrainBlocked = "blocked"
	// DrainFailed is the status of a Pod whose eviction has failed.
	DrainFailed = "failed"
)

// DrainedPod is the result for one Pod.
type DrainedPod struct {
	// namespace is the namespace of the Pod.
	Namespace string `json:"namespace"`
	// name is the name of the Pod.
	Name string `json:"name"`
	// status is evicted, skipped, blocked or failed.
	Status string `json:"status"`
	// reason describes the cause of the status.
	// +optional
	Reason string `json:"reason,omitempty"`
	// code is the error code if the status is failed.
	// +optional
	Code Code `json:"code,omitempty"`
}

// Drain is the result of a drain.
type Drain struct {
	// name is the name of the node.
	Name string `json:"name"`
	// completed is true if no Pod is left to evict. If it is false, the request can be repeated to continue the drain.
	Completed bool `json:"completed"`
	// dryRun is true if the request was a dry run, which changes nothing.
	DryRun bool `json:"dryRun"`
	// pods are the Pods of the node, sorted by namespace and name.
	// +listType=atomic
	Pods []DrainedPod `json:"pods"`
}

// DrainEnvelope is the response to POST .../drain.
type DrainEnvelope struct {
	Header `json:",inline"`
	// data is the result.
	// +optional
	Data *Drain `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
