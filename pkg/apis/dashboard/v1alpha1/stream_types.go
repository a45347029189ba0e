// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TicketParameter is the query parameter of a stream's URL that contains a ticket.
const TicketParameter = "ticket"

// WatchPath is the path of the WebSocket with changes of objects, relative to the root of the API.
const WatchPath = "/ws/watch"

// TicketRequest is the body of POST /ws/ticket. The fields restrict the streams that the ticket opens.
type TicketRequest struct {
	// cluster restricts the ticket to streams of the cluster with this name. If it is empty, any cluster is allowed.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// namespace restricts the ticket to streams of Pods in this namespace. If it is empty, any namespace is allowed.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// pod restricts the ticket to streams of Pods with this name. If it is empty, any Pod is allowed.
	// +optional
	Pod string `json:"pod,omitempty"`
	// verb restricts the ticket to streams with this verb: watch, logs, exec, attach, portforward, copy or nodeshell.
	// If it is empty, any verb is allowed.
	// +optional
	Verb string `json:"verb,omitempty"`
}

// Ticket is a credential in the URL of a stream. It opens one stream.
type Ticket struct {
	// ticket is the value of the query parameter ticket. It is valid once.
	Ticket string `json:"ticket"`
	// expiresIn is the lifetime of the ticket in seconds.
	ExpiresIn int64 `json:"expiresIn"`
}

// TicketEnvelope is the response to POST /ws/ticket.
type TicketEnvelope struct {
	Header `json:",inline"`
	// data is the ticket.
	// +optional
	Data *Ticket `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}
