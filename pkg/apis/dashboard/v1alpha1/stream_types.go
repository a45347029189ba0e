// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TicketParameter is the query parameter of a stream's URL that contains a ticket.
const TicketParameter = "ticket"

// WatchPath is the path of the WebSocket with changes of objects, relative to the root of the API.
const WatchPath = "/ws/watch"

// TicketRequest is the body of POST /ws/ticket. Each field that is set restricts the ticket to streams with the same
// value.
type TicketRequest struct {
	// cluster is the name of a cluster.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// namespace is the namespace of a Pod.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// pod is the name of a Pod.
	// +optional
	Pod string `json:"pod,omitempty"`
	// verb is the verb of the stream: watch, logs, exec, attach, portforward, copy or nodeshell.
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
