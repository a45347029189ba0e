// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ScaleRequest is the body of PUT .../scale.
type ScaleRequest struct {
	// replicas is how many there shall be.
	Replicas *int32 `json:"replicas"`
}

// Scale is how many replicas an object has.
type Scale struct {
	// replicas is how many there shall be.
	Replicas int32 `json:"replicas"`
	// currentReplicas is how many there are, as far as is known.
	CurrentReplicas int32 `json:"currentReplicas"`
}

// ScaleEnvelope is the answer to PUT .../scale.
type ScaleEnvelope struct {
	Header `json:",inline"`
	// data are the numbers of replicas.
	// +optional
	Data *Scale `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// Revision is a state of a workload's Pod template that it can be rolled back
// to.
type Revision struct {
	// revision is the number of the revision.
	Revision int64 `json:"revision"`
	// changeCause is what the annotation kubernetes.io/change-cause said of it.
	ChangeCause string `json:"changeCause"`
	// name of the ReplicaSet or ControllerRevision that holds it.
	Name string `json:"name"`
	// createdAt is when that was made.
	CreatedAt metav1.Time `json:"createdAt"`
	// current is true for the revision that is in force.
	Current bool `json:"current"`
	// images of its containers.
	// +listType=atomic
	Images []string `json:"images"`
}

// RevisionListEnvelope is the answer to GET .../history.
type RevisionListEnvelope struct {
	Header `json:",inline"`
	// data are the revisions, the oldest first.
	// +optional
	// +listType=atomic
	Data []Revision `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// RollbackRequest is the body of POST .../rollback.
type RollbackRequest struct {
	// revision to go back to; 0 is the one before the current one.
	Revision *int64 `json:"revision"`
}

// Rollback is what a rollback has done.
type Rollback struct {
	// revision that was gone back to.
	Revision int64 `json:"revision"`
	// changed is false where that revision was in force already.
	Changed bool `json:"changed"`
}

// RollbackEnvelope is the answer to POST .../rollback.
type RollbackEnvelope struct {
	Header `json:",inline"`
	// data is what was done.
	// +optional
	Data *Rollback `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// BatchDeleteItem names an object to delete.
type BatchDeleteItem struct {
	// resource is the plural of the kind.
	Resource string `json:"resource"`
	// name of the object.
	Name string `json:"name"`
	// namespace of the object; empty for what is in none.
	// +optional
	Namespace string `json:"namespace"`
}

// BatchRestartItem names a workload to restart.
type BatchRestartItem struct {
	// kind is the plural of the kind.
	Kind string `json:"kind"`
	// name of the workload.
	Name string `json:"name"`
	// namespace of the workload.
	Namespace string `json:"namespace"`
}

// BatchOutcome is what became of one item.
type BatchOutcome struct {
	// success is true where it was done.
	Success bool `json:"success"`
	// code is the outcome; 0 is success.
	Code Code `json:"code"`
	// error is the outcome for a person to read, where it is no success.
	// +optional
	Error string `json:"error,omitempty"`
}

// BatchDeleteResult is what became of an object to delete.
type BatchDeleteResult struct {
	BatchDeleteItem `json:",inline"`
	BatchOutcome    `json:",inline"`
}

// BatchDeleteEnvelope is the answer to POST .../batch-delete.
type BatchDeleteEnvelope struct {
	Header `json:",inline"`
	// data has one result per item, in their order.
	// +optional
	// +listType=atomic
	Data []BatchDeleteResult `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// BatchRestartResult is what became of a workload to restart.
type BatchRestartResult struct {
	BatchRestartItem `json:",inline"`
	BatchOutcome     `json:",inline"`
}

// BatchRestartEnvelope is the answer to POST .../batch-restart.
type BatchRestartEnvelope struct {
	Header `json:",inline"`
	// data has one result per item, in their order.
	// +optional
	// +listType=atomic
	Data []BatchRestartResult `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
