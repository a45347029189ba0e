// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Overview are the numbers of a cluster, of what the caller may list.
type Overview struct {
	// pods is the number of Pods.
	Pods int64 `json:"pods"`
	// runningPods is the number of Pods in phase Running.
	RunningPods int64 `json:"runningPods"`
	// deployments is the number of Deployments.
	Deployments int64 `json:"deployments"`
	// readyDeployments is the number of those with all replicas ready.
	ReadyDeployments int64 `json:"readyDeployments"`
	// services is the number of Services.
	Services int64 `json:"services"`
	// nodes is the number of Nodes.
	Nodes int64 `json:"nodes"`
	// readyNodes is the number of Nodes that are ready.
	ReadyNodes int64 `json:"readyNodes"`
	// namespaces is the number of namespaces.
	Namespaces int64 `json:"namespaces"`
	// activeNamespaces is the number of those that are not being removed.
	ActiveNamespaces int64 `json:"activeNamespaces"`
	// statefulSets is the number of StatefulSets.
	StatefulSets int64 `json:"statefulSets"`
	// readyStatefulSets is the number of those with all replicas ready.
	ReadyStatefulSets int64 `json:"readyStatefulSets"`
	// daemonSets is the number of DaemonSets.
	DaemonSets int64 `json:"daemonSets"`
	// readyDaemonSets is the number of those that are ready on every node.
	ReadyDaemonSets int64 `json:"readyDaemonSets"`
	// jobs is the number of Jobs.
	Jobs int64 `json:"jobs"`
	// succeededJobs is the number of Jobs that are complete.
	SucceededJobs int64 `json:"succeededJobs"`
	// failedJobs is the number of Jobs that have failed.
	FailedJobs int64 `json:"failedJobs"`
	// cronJobs is the number of CronJobs.
	CronJobs int64 `json:"cronJobs"`
	// activeCronJobs is the number of those that are not suspended.
	ActiveCronJobs int64 `json:"activeCronJobs"`
	// ingresses is the number of Ingresses.
	Ingresses int64 `json:"ingresses"`
	// persistentVolumes is the number of PersistentVolumes.
	PersistentVolumes int64 `json:"persistentVolumes"`
	// boundPVs is the number of those that are bound.
	BoundPVs int64 `json:"boundPVs"`
	// availablePVs is the number of those that are available.
	AvailablePVs int64 `json:"availablePVs"`
	// releasedPVs is the number of those that are released.
	ReleasedPVs int64 `json:"releasedPVs"`
	// persistentVolumeClaims is the number of PersistentVolumeClaims.
	PersistentVolumeClaims int64 `json:"persistentVolumeClaims"`
	// boundPVCs is the number of those that are bound.
	BoundPVCs int64 `json:"boundPVCs"`
	// pendingPVCs is the number of those that are pending.
	PendingPVCs int64 `json:"pendingPVCs"`
	// totalStorageBytes is the capacity of all PersistentVolumes.
	TotalStorageBytes int64 `json:"totalStorageBytes"`
	// allocatedStorageBytes is the capacity of those that are bound.
	AllocatedStorageBytes int64 `json:"allocatedStorageBytes"`
	// usedStorageBytes is what bound PersistentVolumeClaims ask for.
	UsedStorageBytes int64 `json:"usedStorageBytes"`
	// resources are the compute resources.
	Resources OverviewResources `json:"resources"`
	// podStatusDistribution are the Pods by phase.
	PodStatusDistribution PodPhases `json:"podStatusDistribution"`
	// recentEvents are the newest events, the newest first.
	// +listType=atomic
	RecentEvents []OverviewEvent `json:"recentEvents"`
}

// OverviewResources are the compute resources of a cluster.
type OverviewResources struct {
	// cpu is in thousandths of one.
	CPU OverviewResource `json:"cpu"`
	// memory is in bytes.
	Memory OverviewResource `json:"memory"`
	// metricsAvailable says whether the usage is known.
	MetricsAvailable bool `json:"metricsAvailable"`
}

// OverviewResource is one compute resource.
type OverviewResource struct {
	// allocatable is what the nodes have for Pods.
	Allocatable int64 `json:"allocatable"`
	// usage is what is used.
	Usage int64 `json:"usage"`
	// requests are what Pods that are not finished ask for.
	Requests int64 `json:"requests"`
	// limits are what those Pods may use at most.
	Limits int64 `json:"limits"`
}

// PodPhases are numbers of Pods by phase.
type PodPhases struct {
	// running is the number of those that run.
	Running int64 `json:"running"`
	// pending is the number of those that do not run yet.
	Pending int64 `json:"pending"`
	// succeeded is the number of those that have ended well.
	Succeeded int64 `json:"succeeded"`
	// failed is the number of those that have not.
	Failed int64 `json:"failed"`
	// unknown is the number of all others.
	Unknown int64 `json:"unknown"`
}

// OverviewEvent is an event of a cluster.
type OverviewEvent struct {
	// type is Normal or Warning.
	Type string `json:"type"`
	// reason is why the event was written, in one word.
	Reason string `json:"reason"`
	// message is what has happened.
	Message string `json:"message"`
	// objectKind is the kind of the object that it happened to.
	ObjectKind string `json:"objectKind"`
	// objectName is the name of that object.
	ObjectName string `json:"objectName"`
	// namespace is the namespace of that object.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// timestamp is when it has happened last.
	Timestamp metav1.Time `json:"timestamp"`
}

// OverviewEnvelope is the answer to GET /clusters/{cluster}/overview.
type OverviewEnvelope struct {
	Header `json:",inline"`
	// data are the numbers.
	// +optional
	Data *Overview `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
