// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// ObjectListEnvelope is a list of objects of a cluster.
type ObjectListEnvelope struct {
	Header `json:",inline"`
	// data are the objects as Kubernetes writes them, without managedFields.
	// +optional
	// +listType=atomic
	Data []runtime.RawExtension `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// ObjectEnvelope is one object of a cluster.
type ObjectEnvelope struct {
	Header `json:",inline"`
	// data is the object as Kubernetes writes it, without managedFields.
	// +optional
	Data *runtime.RawExtension `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
