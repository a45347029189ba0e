// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Object is an object of a cluster in Kubernetes' format, without managedFields. It has further fields, which depend
// on its kind.
type Object struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// metadata is the metadata of the object.
	Metadata metav1.ObjectMeta `json:"metadata"`
	// metrics is the usage of a Pod, on request.
	// +optional
	Metrics *PodMetrics `json:"metrics,omitempty"`
	// metricsStatus is the state of the metrics of a Pod, on request: available, pending or unavailable.
	// +optional
	MetricsStatus string `json:"metricsStatus,omitempty"`
}

// ObjectListEnvelope is a list of objects of a cluster.
type ObjectListEnvelope struct {
	Header `json:",inline"`
	// data contains the objects in Kubernetes' format, without managedFields.
	// +optional
	// +listType=atomic
	Data []Object `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// ObjectEnvelope is one object of a cluster.
type ObjectEnvelope struct {
	Header `json:",inline"`
	// data is the object in Kubernetes' format, without managedFields.
	// +optional
	Data *Object `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
