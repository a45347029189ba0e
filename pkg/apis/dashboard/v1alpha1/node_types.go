// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// NodeScheduling says whether Pods are placed on a node.
type NodeScheduling struct {
	// name of the node.
	Name string `json:"name"`
	// unschedulable is true where no new Pods are placed on it.
	Unschedulable bool `json:"unschedulable"`
}

// NodeSchedulingEnvelope is the answer to POST .../cordon and .../uncordon.
type NodeSchedulingEnvelope struct {
	Header `json:",inline"`
	// data is the node.
	// +optional
	Data *NodeScheduling `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// DrainRequest is the body of POST .../drain. It may be left out.
type DrainRequest struct {
	// gracePeriodSeconds is how long Pods may take to end. Defaults to what
	// each of them asks for.
	// +optional
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty"`
	// timeoutSeconds is for how long evictions are tried that a
	// PodDisruptionBudget does not allow yet: 1 to 45. Defaults to 30.
	// +optional
	TimeoutSeconds *int64 `json:"timeoutSeconds,omitempty"`
	// deleteEmptyDirData evicts Pods too whose data in emptyDir volumes is
	// lost by that.
	// +optional
	DeleteEmptyDirData bool `json:"deleteEmptyDirData,omitempty"`
	// force evicts Pods too that no controller makes again.
	// +optional
	Force bool `json:"force,omitempty"`
	// dryRun changes nothing, and says what would be done.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`
}

// Values of DrainedPod.Status.
const (
	// DrainEvicted is the status of a Pod that is terminating or gone.
	DrainEvicted = "evicted"
	// DrainSkipped is the status of a Pod that stays on the node: it belongs to a DaemonSet or is a static Pod.
	DrainSkipped = "skipped"
	// DrainBlocked is the status of a Pod that cannot be evicted now.
	DrainBlocked = "blocked"
	// DrainFailed is the status of a Pod whose eviction has failed.
	DrainFailed = "failed"
)

// DrainedPod is what became of one Pod.
type DrainedPod struct {
	// namespace of the Pod.
	Namespace string `json:"namespace"`
	// name of the Pod.
	Name string `json:"name"`
	// status is evicted, skipped, blocked or failed.
	Status string `json:"status"`
	// reason says why, for a person to read.
	// +optional
	Reason string `json:"reason,omitempty"`
	// code is the outcome where the status is failed.
	// +optional
	Code Code `json:"code,omitempty"`
}

// Drain is what a drain has done.
type Drain struct {
	// name of the node.
	Name string `json:"name"`
	// completed is true where no Pod is left that has to go. Otherwise the
	// drain can be called again, and goes on.
	Completed bool `json:"completed"`
	// dryRun is true where nothing was changed.
	DryRun bool `json:"dryRun"`
	// pods of the node, by namespace and name.
	// +listType=atomic
	Pods []DrainedPod `json:"pods"`
}

// DrainEnvelope is the answer to POST .../drain.
type DrainEnvelope struct {
	Header `json:",inline"`
	// data is what was done.
	// +optional
	Data *Drain `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
