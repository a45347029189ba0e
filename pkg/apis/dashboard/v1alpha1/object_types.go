// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is an object of a cluster in Kubernetes' format, without managedFields. It has additional fields, which depend
// on its kind.
type Object struct {
	// apiVersion is the group and version of the object.
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	Kind string `json:"kind"`
	// metadata is the metadata of the object.
	Metadata metav1.ObjectMeta `json:"metadata"`
	// cells is a row of a table, with one value for each column in meta.columns. The field is set only if the request
	// asks for a table. Besides cells, a table contains only the apiVersion, kind and identifying metadata of each
	// object.
	// +optional
	// +listType=atomic
	Cells []runtime.RawExtension `json:"cells,omitempty"`
	// metrics is the usage of a Pod. It is set if the request asks for metrics.
	// +optional
	Metrics *PodMetrics `json:"metrics,omitempty"`
	// metricsStatus is the state of the metrics of a Pod: available, pending or unavailable. It is set if the request
	// asks for metrics.
	// +optional
	MetricsStatus string `json:"metricsStatus,omitempty"`
}

// TableColumn is a column of the table of a kind, as in the output of kubectl get.
type TableColumn struct {
	// name is the heading of the column.
	Name string `json:"name"`
	// type is the OpenAPI type of the cells: string, integer, number, boolean, array, object or date.
	Type string `json:"type"`
	// format is the OpenAPI format of the cells. "name" means that the cells contain the name of the object.
	// +optional
	Format string `json:"format,omitempty"`
	// priority is 0 for columns that kubectl get shows, and higher for columns that only kubectl get -o wide shows.
	// +optional
	Priority int32 `json:"priority,omitempty"`
}

// ObjectListEnvelope is the response to a list of objects of a cluster.
type ObjectListEnvelope struct {
	Header `json:",inline"`
	// data contains the objects in Kubernetes' format, without managedFields.
	// +optional
	// +listType=atomic
	Data []Object `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// ObjectEnvelope is the response with one object of a cluster.
type ObjectEnvelope struct {
	Header `json:",inline"`
	// data is the object in Kubernetes' format, without managedFields.
	// +optional
	Data *Object `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
