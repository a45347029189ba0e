// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Overview contains counts of the objects of a cluster that the caller may list.
type Overview struct {
	// pods is the number of Pods.
	Pods int64 `json:"pods"`
	// runningPods is the number of Pods in phase Running.
	RunningPods int64 `json:"runningPods"`
	// deployments is the number of Deployments.
	Deployments int64 `json:"deployments"`
	// readyDeployments is the number of Deployments with all replicas ready.
	ReadyDeployments int64 `json:"readyDeployments"`
	// services is the number of Services.
	Services int64 `json:"services"`
	// nodes is the number of Nodes.
	Nodes int64 `json:"nodes"`
	// readyNodes is the number of Nodes that are ready.
	ReadyNodes int64 `json:"readyNodes"`
	// namespaces is the number of namespaces.
	Namespaces int64 `json:"namespaces"`
	// activeNamespaces is the number of namespaces that are not being deleted.
	ActiveNamespaces int64 `json:"activeNamespaces"`
	// statefulSets is the number of StatefulSets.
	StatefulSets int64 `json:"statefulSets"`
	// readyStatefulSets is the number of StatefulSets with all replicas ready.
	ReadyStatefulSets int64 `json:"readyStatefulSets"`
	// daemonSets is the number of DaemonSets.
	DaemonSets int64 `json:"daemonSets"`
	// readyDaemonSets is the number of DaemonSets that are ready on every node.
	ReadyDaemonSets int64 `json:"readyDaemonSets"`
	// jobs is the number of Jobs.
	Jobs int64 `json:"jobs"`
	// succeededJobs is the number of Jobs that are complete.
	SucceededJobs int64 `json:"succeededJobs"`
	// failedJobs is the number of Jobs that have failed.
	FailedJobs int64 `json:"failedJobs"`
	// cronJobs is the number of CronJobs.
	CronJobs int64 `json:"cronJobs"`
	// activeCronJobs is the number of CronJobs that are not suspended.
	ActiveCronJobs int64 `json:"activeCronJobs"`
	// ingresses is the number of Ingresses.
	Ingresses int64 `json:"ingresses"`
	// persistentVolumes is the number of PersistentVolumes.
	PersistentVolumes int64 `json:"persistentVolumes"`
	// boundPVs is the number of bound PersistentVolumes.
	BoundPVs int64 `json:"boundPVs"`
	// availablePVs is the number of available PersistentVolumes.
	AvailablePVs int64 `json:"availablePVs"`
	// releasedPVs is the number of released PersistentVolumes.
	ReleasedPVs int64 `json:"releasedPVs"`
	// persistentVolumeClaims is the number of PersistentVolumeClaims.
	PersistentVolumeClaims int64 `json:"persistentVolumeClaims"`
	// boundPVCs is the number of bound PersistentVolumeClaims.
	BoundPVCs int64 `json:"boundPVCs"`
	// pendingPVCs is the number of pending PersistentVolumeClaims.
	PendingPVCs int64 `json:"pendingPVCs"`
	// totalStorageBytes is the capacity of all PersistentVolumes.
	TotalStorageBytes int64 `json:"totalStorageBytes"`
	// allocatedStorageBytes is the capacity of the bound PersistentVolumes.
	AllocatedStorageBytes int64 `json:"allocatedStorageBytes"`
	// usedStorageBytes is the sum of the requests of bound PersistentVolumeClaims.
	UsedStorageBytes int64 `json:"usedStorageBytes"`
	// resources contains the compute resources.
	Resources OverviewResources `json:"resources"`
	// podStatusDistribution contains the number of Pods in each phase.
	PodStatusDistribution PodPhases `json:"podStatusDistribution"`
	// recentEvents are the newest events, the newest first.
	// +listType=atomic
	RecentEvents []OverviewEvent `json:"recentEvents"`
}

// OverviewResources contains the compute resources of a cluster.
type OverviewResources struct {
	// cpu contains the amounts of CPU, in millicores.
	CPU OverviewResource `json:"cpu"`
	// memory contains the amounts of memory, in bytes.
	Memory OverviewResource `json:"memory"`
	// metricsAvailable is true if the usage is known.
	MetricsAvailable bool `json:"metricsAvailable"`
}

// OverviewResource contains the allocatable, used and requested amounts of one compute resource of a cluster. The
// resource is CPU or memory.
type OverviewResource struct {
	// allocatable is the sum of the amounts that the nodes can allocate to Pods, in millicores of CPU or bytes of
	// memory.
	Allocatable int64 `json:"allocatable"`
	// usage is the amount that the cluster uses now, in millicores of CPU or bytes of memory. If metricsAvailable is
	// false, the value has no meaning.
	Usage int64 `json:"usage"`
	// requests is the sum of the resource requests of all Pods that have not finished, in millicores of CPU or bytes of
	// memory.
	Requests int64 `json:"requests"`
	// limits is the sum of the resource limits of all Pods that have not finished, in millicores of CPU or bytes of
	// memory.
	Limits int64 `json:"limits"`
}

// PodPhases contains the number of Pods in each phase.
type PodPhases struct {
	// running is the number of running Pods.
	Running int64 `json:"running"`
	// pending is the number of pending Pods.
	Pending int64 `json:"pending"`
	// succeeded is the number of Pods that have succeeded.
	Succeeded int64 `json:"succeeded"`
	// failed is the number of Pods that have failed.
	Failed int64 `json:"failed"`
	// unknown is the number of Pods in an unknown phase.
	Unknown int64 `json:"unknown"`
}

// OverviewEvent is an event of a cluster.
type OverviewEvent struct {
	// type is Normal or Warning.
	Type string `json:"type"`
	// reason is the machine-readable cause of the event.
	Reason string `json:"reason"`
	// message describes the event.
	Message string `json:"message"`
	// objectKind is the kind of the object that the event is about.
	ObjectKind string `json:"objectKind"`
	// objectName is the name of the object that the event is about.
	ObjectName string `json:"objectName"`
	// namespace is the namespace of the object that the event is about.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// timestamp is the time of the last occurrence.
	Timestamp metav1.Time `json:"timestamp"`
}

// OverviewEnvelope is the response to GET /clusters/{cluster}/overview.
type OverviewEnvelope struct {
	Header `json:",inline"`
	// data contains the counts.
	// +optional
	Data *Overview `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
