// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ScaleRequest is the body of PUT .../scale.
type ScaleRequest struct {
	// replicas is the desired number of replicas.
	Replicas *int32 `json:"replicas"`
}

// Scale contains the numbers of replicas of an object.
type Scale struct {
	// replicas is the desired number of replicas.
	Replicas int32 `json:"replicas"`
	// currentReplicas is the observed number of replicas.
	CurrentReplicas int32 `json:"currentReplicas"`
}

// ScaleEnvelope is the response to PUT .../scale.
type ScaleEnvelope struct {
	Header `json:",inline"`
	// data contains the numbers of replicas.
	// +optional
	Data *Scale `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// Revision is a recorded state of a workload's Pod template, to which the workload can be rolled back.
type Revision struct {
	// revision is the number of the revision.
	Revision int64 `json:"revision"`
	// changeCause is the value of the annotation kubernetes.io/change-cause for the revision.
	ChangeCause string `json:"changeCause"`
	// name is the name of the ReplicaSet or ControllerRevision that contains the revision.
	Name string `json:"name"`
	// createdAt is the creation time of the ReplicaSet or ControllerRevision that contains the revision.
	CreatedAt metav1.Time `json:"createdAt"`
	// current is true for the current revision.
	Current bool `json:"current"`
	// images are the images of the containers.
	// +listType=atomic
	Images []string `json:"images"`
}

// RevisionListEnvelope is the response to GET .../history.
type RevisionListEnvelope struct {
	Header `json:",inline"`
	// data contains the revisions, the oldest first.
	// +optional
	// +listType=atomic
	Data []Revision `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// RollbackRequest is the body of POST .../rollback.
type RollbackRequest struct {
	// revision is the target of the rollback. 0 means the second newest revision in the history of the workload.
	Revision *int64 `json:"revision"`
}

// Rollback is the result of a rollback.
type Rollback struct {
	// revision is the target of the rollback.
	Revision int64 `json:"revision"`
	// changed is false if the workload was already at the target revision.
	Changed bool `json:"changed"`
}

// RollbackEnvelope is the response to POST .../rollback.
type RollbackEnvelope struct {
	Header `json:",inline"`
	// data is the result.
	// +optional
	Data *Rollback `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// BatchDeleteItem names an object to delete.
type BatchDeleteItem struct {
	// resource is the name of the resource in the API, for example deployments.
	Resource string `json:"resource"`
	// name is the name of the object.
	Name string `json:"name"`
	// namespace is the namespace of the object. It is empty for cluster-scoped kinds.
	// +optional
	Namespace string `json:"namespace"`
}

// BatchRestartItem names a workload to restart.
type BatchRestartItem struct {
	// kind is the plural resource name of the workload, not a Kubernetes kind. Only deployments, statefulsets,
	// daemonsets and pods can be restarted.
	Kind string `json:"kind"`
	// name is the name of the workload.
	Name string `json:"name"`
	// namespace is the namespace of the workload.
	Namespace string `json:"namespace"`
}

// BatchOutcome is the result of one item.
type BatchOutcome struct {
	// success is true if the item was processed successfully.
	Success bool `json:"success"`
	// code is the result; 0 is success.
	Code Code `json:"code"`
	// error describes a failure.
	// +optional
	Error string `json:"error,omitempty"`
}

// BatchDeleteResult is the result for one object of a batch deletion.
type BatchDeleteResult struct {
	BatchDeleteItem `json:",inline"`
	BatchOutcome    `json:",inline"`
}

// BatchDeleteEnvelope is the response to POST .../batch-delete.
type BatchDeleteEnvelope struct {
	Header `json:",inline"`
	// data contains one result for each item, in the order of the request.
	// +optional
	// +listType=atomic
	Data []BatchDeleteResult `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// BatchRestartResult is the result for one workload of a batch restart.
type BatchRestartResult struct {
	BatchRestartItem `json:",inline"`
	BatchOutcome     `json:",inline"`
}

// BatchRestartEnvelope is the response to POST .../batch-restart.
type BatchRestartEnvelope struct {
	Header `json:",inline"`
	// data contains one result for each item, in the order of the request.
	// +optional
	// +listType=atomic
	Data []BatchRestartResult `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
