// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the custom resources.
const GroupName = "kubevision.io"

// Plural resource names, as they appear in URLs and in RBAC rules.
const (
	ResourceUsers          = "kubevisionusers"
	ResourceClusters       = "kubevisionclusters"
	ResourceRoleBindings   = "kubevisionrolebindings"
	ResourceSessions       = "kubevisionsessions"
	ResourceLoginThrottles = "kubevisionloginthrottles"
)

// Kinds of the custom resources, for owner references and for clients that build objects by kind.
const (
	KindUser          = "KubeVisionUser"
	KindCluster       = "KubeVisionCluster"
	KindRoleBinding   = "KubeVisionRoleBinding"
	KindSession       = "KubeVisionSession"
	KindLoginThrottle = "KubeVisionLoginThrottle"
)

// VerbUse is the verb on kubevisionclusters that allows a user to use a cluster through the dashboard.
const VerbUse = "use"

// SchemeGroupVersion is the group and version of the types in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

var (
	// SchemeBuilder collects the functions that add this package's types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme adds this package's types to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion,
		&KubeVisionUser{}, &KubeVisionUserList{},
		&KubeVisionCluster{}, &KubeVisionClusterList{},
		&KubeVisionRoleBinding{}, &KubeVisionRoleBindingList{},
		&KubeVisionSession{}, &KubeVisionSessionList{},
		&KubeVisionLoginThrottle{}, &KubeVisionLoginThrottleList{},
		&KubeVisionPolicyParameter{}, &KubeVisionPolicyParameterList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
