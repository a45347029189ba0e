// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KubeVisionCluster registers a cluster with the dashboard. Users need the verb "use" on this object to reach the
// cluster through KubeVision. KubeVisionRoleBindings grant this verb.
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
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="a cluster name must have at most 63 characters"
// +kubebuilder:validation:XValidation:rule=`oldSelf.hasValue() || !self.metadata.name.matches('(^|[.])xn--')`,optionalOldSelf=true,message="the name must not contain 'xn--': a program that decodes Punycode displays another name"
// +kubebuilder:validation:XValidation:rule=`oldSelf.hasValue() || self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,optionalOldSelf=true,message="a cluster name is part of URLs, and may only contain lower case letters, digits and '-'"
type KubeVisionCluster struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is the id of the cluster in URLs. Selectors of role bindings
	// match the labels.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the connection to the cluster.
	// +required
	Spec KubeVisionClusterSpec `json:"spec"`
	// status is the result of the last probe. Only KubeVision writes it.
	// +optional
	Status KubeVisionClusterStatus `json:"status,omitempty"`
}

// KubeVisionClusterSpec describes the connection to a cluster: exactly one of inCluster and kubeconfigSecretRef is
// set.
//
// +kubebuilder:validation:XValidation:rule="(has(self.inCluster) && self.inCluster) != has(self.kubeconfigSecretRef)",message="exactly one of inCluster: true and kubeconfigSecretRef must be set"
// +kubebuilder:validation:XValidation:rule="(has(self.inCluster) && self.inCluster) == (has(oldSelf.inCluster) && oldSelf.inCluster)",message="inCluster cannot be changed; register the cluster under another name"
type KubeVisionClusterSpec struct {
	// displayName is the name that the dashboard displays. Defaults to the name of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// inCluster registers the cluster in which KubeVision runs. If several objects register it, only the oldest one is
	// used.
	// +optional
	InCluster bool `json:"inCluster,omitempty"`

	// kubeconfigSecretRef names the Secret with a kubeconfig for the cluster, in the namespace kubevision-system. The
	// kubeconfig may contain only inline certificate data or a token; exec and auth-provider plugins, file paths,
	// impersonation and proxies are rejected.
	// +optional
	KubeconfigSecretRef *SecretKeyReference `json:"kubeconfigSecretRef,omitempty"`

	// readCache is Enabled if KubeVision may answer reads of the cluster from a copy in memory. To fill the copy,
	// KubeVision creates the ServiceAccount kubevision-reader on the cluster. This account has the rights of the
	// cluster's ClusterRole view, and no access to Secrets. If readCache is Disabled, KubeVision removes the account
	// and its rights, and every read calls the cluster's API server. In both modes, the cluster's RBAC decides whether
	// a user may read an object. Defaults to Enabled.
	// +optional
	// +kubebuilder:default=Enabled
	ReadCache ReadCacheMode `json:"readCache,omitempty"`
}

// ReadCacheMode is the mode of the read cache of a cluster.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type ReadCacheMode string

// Modes of the read cache. An empty mode means ReadCacheEnabled.
const (
	ReadCacheEnabled  ReadCacheMode = "Enabled"
	ReadCacheDisabled ReadCacheMode = "Disabled"
)

// KubeVisionClusterStatus is the result of the last probe.
type KubeVisionClusterStatus struct {
	// conditions are the conditions of the cluster: Ready, Reachable, CredentialsValid, ImpersonationReady, ReadCache
	// and, if another registration claims to be the same cluster, IdentityConflict. Ready does not depend on ReadCache.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec to which the conditions refer.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// version is the version of the cluster's API server, such as v1.36.3.
	// +optional
	Version string `json:"version,omitempty"`

	// clusterID is the UID of the cluster's namespace kube-system. It is set if this object is the first registration
	// of the cluster, or if it is proved that this object and the first registration connect to the same cluster.
	// +optional
	ClusterID string `json:"clusterID,omitempty"`

	// apiServer is the URL of the cluster's API server.
	// +optional
	APIServer string `json:"apiServer,omitempty"`

	// nodes counts the cluster's nodes.
	// +optional
	Nodes *NodeCount `json:"nodes,omitempty"`

	// credentialsExpirationTime is the time at which the certificate or token in the kubeconfig expires. It is absent
	// if the kubeconfig contains no such time.
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
