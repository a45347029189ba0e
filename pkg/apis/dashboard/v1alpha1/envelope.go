// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Meta contains information about a response.
type Meta struct {
	// requestId identifies this request in the server's logs: "req_" and a ULID.
	RequestID string `json:"requestId"`
	// source is the source of a read: cache or apiserver.
	// +optional
	Source string `json:"source,omitempty"`
	// stale is true if the data come from a cache that has lost its connection to the cluster.
	// +optional
	Stale bool `json:"stale,omitempty"`
	// asOf is the last time at which the data in the cache were known to match the cluster. It is absent if the data
	// are not stale.
	// +optional
	AsOf *metav1.Time `json:"asOf,omitempty"`
	// notModified is true if the request header If-None-Match contains the entity tag of the current data. In this
	// case, the response contains no data.
	// +optional
	NotModified bool `json:"notModified,omitempty"`
	// total is the number of matching items, if it is known.
	// +optional
	Total *int64 `json:"total,omitempty"`
	// continue is the token for the next page.
	// +optional
	Continue string `json:"continue,omitempty"`
	// partial is true if the caller may read only some namespaces. The data then cover only these namespaces.
	// +optional
	Partial bool `json:"partial,omitempty"`
	// namespaces are the namespaces that the data cover. It is set if partial is true.
	// +optional
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`
	// columns are the columns of a table. The cells of each object have the same order.
	// +optional
	// +listType=atomic
	Columns []TableColumn `json:"columns,omitempty"`
	// field names the missing or malformed part of the request.
	// +optional
	Field string `json:"field,omitempty"`
	// warnings are the warnings of the cluster's API server.
	// +optional
	// +listType=atomic
	Warnings []string `json:"warnings,omitempty"`
	// retryAfterSeconds is the number of seconds to wait before a retry.
	// +optional
	RetryAfterSeconds int64 `json:"retryAfterSeconds,omitempty"`
}

// Values of Meta.Source.
const (
	// SourceAPIServer means that the data come from the cluster's API server.
	SourceAPIServer = "apiserver"
	// SourceCache means that the data come from the read cache.
	SourceCache = "cache"
)

// Header contains the first fields of every envelope.
type Header struct {
	// code is the result; 0 is success.
	Code Code `json:"code"`
	// message describes the result.
	Message string `json:"message"`
}

// Envelope is a response whose data can have any type.
type Envelope struct {
	Header `json:",inline"`
	// data is null if there are no data.
	// +optional
	Data runtime.RawExtension `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
