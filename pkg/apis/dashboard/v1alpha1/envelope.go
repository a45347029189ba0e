// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Meta is what an envelope says beside the data.
type Meta struct {
	// requestId names this request in the server's logs: "req_" and a ULID.
	RequestID string `json:"requestId"`
	// source says where a read was answered: cache or apiserver.
	// +optional
	Source string `json:"source,omitempty"`
	// stale is true when the data come from a cache that has lost its
	// connection.
	// +optional
	Stale bool `json:"stale,omitempty"`
	// asOf is the last time at which stale data were known to be current.
	// +optional
	AsOf *metav1.Time `json:"asOf,omitempty"`
	// notModified is true if the data are those whose entity tag the client
	// has sent in If-None-Match. They are null then.
	// +optional
	NotModified bool `json:"notModified,omitempty"`
	// total is the number of items that match, where that is known.
	// +optional
	Total *int64 `json:"total,omitempty"`
	// continue is the token that fetches the next page.
	// +optional
	Continue string `json:"continue,omitempty"`
	// partial is true where the caller may not read the whole cluster, and the
	// data are those of the namespaces that they may read.
	// +optional
	Partial bool `json:"partial,omitempty"`
	// namespaces are those that were read where the data are partial.
	// +optional
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`
	// field names the part of the request that is missing or malformed.
	// +optional
	Field string `json:"field,omitempty"`
	// warnings are what the cluster's API server warned of.
	// +optional
	// +listType=atomic
	Warnings []string `json:"warnings,omitempty"`
	// retryAfterSeconds is the time to wait before the next try.
	// +optional
	RetryAfterSeconds int64 `json:"retryAfterSeconds,omitempty"`
}

// Values of Meta.Source.
const (
	// SourceAPIServer means that the cluster's API server has answered this request.
	SourceAPIServer = "apiserver"
	// SourceCache is what a watch of the cluster has brought.
	SourceCache = "cache"
)

// Header is what every envelope begins with.
type Header struct {
	// code is the outcome; 0 is success.
	Code Code `json:"code"`
	// message is the outcome for a person to read.
	Message string `json:"message"`
}

// Envelope is a response whose data depend on the outcome.
type Envelope struct {
	Header `json:",inline"`
	// data is null where there is nothing to say.
	// +optional
	Data runtime.RawExtension `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}
