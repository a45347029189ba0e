// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KubeVisionCluster is a cluster that the dashboard shows. Who may use it is
// decided by the verb "use" on this resource, which KubeVisionRoleBindings
// grant.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=kvc,categories=kubevision
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes.total`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="API Server",type=string,JSONPath=`.status.apiServer`,priority=1
// +kubebuilder:printcolumn:name="Last Probe",type=date,JSONPath=`.status.lastProbeTime`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="a cluster name has at most 63 characters"
// +kubebuilder:validation:XValidation:rule=`oldSelf.hasValue() || !self.metadata.name.matches('(^|[.])xn--')`,optionalOldSelf=true,message="a name with 'xn--' is shown as another one by what decodes it; choose one without"
// +kubebuilder:validation:XValidation:rule=`oldSelf.hasValue() || self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,optionalOldSelf=true,message="a cluster name is part of URLs: lower case letters, digits and '-', without '.'"
type KubeVisionCluster struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. Its name is the cluster's id in
	// every URL; its labels are what the selectors of role bindings match.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says how the cluster is reached.
	// +required
	Spec KubeVisionClusterSpec `json:"spec"`
	// status is what the last probe found. It is written by KubeVision only.
	// +optional
	Status KubeVisionClusterStatus `json:"status,omitempty"`
}

// KubeVisionClusterSpec says how a cluster is reached: exactly one of
// inCluster and kubeconfigSecretRef.
//
// +kubebuilder:validation:XValidation:rule="(has(self.inCluster) && self.inCluster) != has(self.kubeconfigSecretRef)",message="exactly one of inCluster: true and kubeconfigSecretRef must be set"
// +kubebuilder:validation:XValidation:rule="(has(self.inCluster) && self.inCluster) == (has(oldSelf.inCluster) && oldSelf.inCluster)",message="inCluster cannot be changed; register the cluster under another name"
type KubeVisionClusterSpec struct {
	// displayName is the name that the dashboard shows. Defaults to the name of
	// the object.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// inCluster registers the cluster in which KubeVision itself runs. Of
	// several such registrations the oldest one is in force.
	// +optional
	InCluster bool `json:"inCluster,omitempty"`

	// kubeconfigSecretRef names the Secret with a kubeconfig for the cluster, in
	// the namespace kubevision-system. Only inline certificate data and tokens are accepted in it; exec and
	// auth-provider plugins, file paths, impersonation and proxies are refused.
	// +optional
	KubeconfigSecretRef *SecretKeyReference `json:"kubeconfigSecretRef,omitempty"`

	// readCache is Enabled where KubeVision may answer reads of the cluster from
	// a copy that it keeps in memory. To fill the copy, it places the
	// ServiceAccount kubevision-reader on the cluster, which may read what the
	// cluster's ClusterRole view allows, and no Secrets. Disabled removes the
	// account and its rights, and every read asks the cluster's API server.
	// Whether a user may read an object is decided by the cluster's RBAC either
	// way. Defaults to Enabled.
	// +optional
	// +kubebuilder:default=Enabled
	ReadCache ReadCacheMode `json:"readCache,omitempty"`
}

// ReadCacheMode says whether reads of a cluster may be answered from a cache.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type ReadCacheMode string

// Modes of the read cache. An empty mode means ReadCacheEnabled.
const (
	ReadCacheEnabled  ReadCacheMode = "Enabled"
	ReadCacheDisabled ReadCacheMode = "Disabled"
)

// KubeVisionClusterStatus is what the last probe found.
type KubeVisionClusterStatus struct {
	// conditions of the cluster: Ready, Reachable, CredentialsValid,
	// ImpersonationReady, ReadCache and, where another registration claims to be
	// the same cluster, IdentityConflict. Ready does not depend on ReadCache.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak
	// of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// version of the cluster's API server, such as v1.36.3.
	// +optional
	Version string `json:"version,omitempty"`

	// clusterID is the UID of the cluster's namespace kube-system. It is set
	// when the registration is the first one of that cluster, or is proven to
	// lead to the same cluster as the first one.
	// +optional
	ClusterID string `json:"clusterID,omitempty"`

	// apiServer is the URL of the cluster's API server.
	// +optional
	APIServer string `json:"apiServer,omitempty"`

	// nodes counts the cluster's nodes.
	// +optional
	Nodes *NodeCount `json:"nodes,omitempty"`

	// credentialsExpirationTime is when the registered certificate or token
	// ends, where it says so.
	// +optional
	CredentialsExpirationTime *metav1.Time `json:"credentialsExpirationTime,omitempty"`

	// lastProbeTime is the time of the last probe, successful or not.
	// +optional
	LastProbeTime *metav1.Time `json:"lastProbeTime,omitempty"`
}

// NodeCount counts nodes.
type NodeCount struct {
	// total is the number of nodes.
	// +required
	// +kubebuilder:validation:Minimum=0
	Total int32 `json:"total"`
	// ready is the number of nodes whose Ready condition is True.
	// +required
	// +kubebuilder:validation:Minimum=0
	Ready int32 `json:"ready"`
}

// KubeVisionClusterList is a list of clusters.
//
// +kubebuilder:object:root=true
type KubeVisionClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeVisionCluster `json:"items"`
}
