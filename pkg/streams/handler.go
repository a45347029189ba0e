// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"time"
)

// Target identifies a stream. A ticket may be restricted to any of its fields.
type Target struct {
	Cluster, Namespace, Pod, Verb string
}

// The verbs of streams.
const (
	VerbWatch       = "watch"
	VerbLogs        = "logs"
	VerbExec        = "exec"
	VerbAttach      = "attach"
	VerbPortForward = "portforward"
	VerbCopy        = "copy"
	VerbNodeShell   = "nodeshell"
)

// Verbs returns the verbs of streams.
func Verbs() []string {
	return []string{VerbWatch, VerbLogs, VerbExec, VerbAttach, VerbPortForward, VerbCopy, VerbNodeShell}
}

// Message is a message of a client.
type Message struct {
	// Binary is true for a binary message, and false for text.
	Binary bool
	Data   []byte
}

// Handler serves one stream. The endpoint makes it after the right of the caller was reviewed.
type Handler struct {
	// Subprotocols are the subprotocols of the server, in the order of preference. None is used if the client names
	// none.
	Subprotocols []string
	// ReadLimit bounds a message of the client, in bytes. Zero means DefaultReadLimit.
	ReadLimit int64
	// Check returns an error once the caller has lost the right to the stream. It is called about every
	// recheckInterval, and at once when Depends change. A denial ends the stream; another error ends it after
	// checkGrace. Nil means that the right is checked elsewhere.
	Check func(ctx context.Context) error
	// Depends are the connections to clusters whose RBAC objects decide about Check, besides the host. They must be
	// comparable.
	Depends []Cluster
	// MaxTime bounds the time of the stream, and IdleTime that without a message in either direction. Zero means no
	// bound. Pings are no messages.
	MaxTime, IdleTime time.Duration
	// Last returns the last message before the socket is closed, or nil. It is sent as text.
	Last func(End) []byte
	// Began is called once, before Received and Serve.
	Began func(s *Stream)
	// Received is called with each message of the client, one after the other. While it does not return, nothing more
	// is read of the client. Its error ends the stream. Nil discards messages.
	Received func(ctx context.Context, s *Stream, m Message) error
	// Serve runs once. The stream ends when it returns, with its error as the reason. If it is nil, the stream ends
	// with its client. The context ends with the stream.
	Serve func(ctx context.Context, s *Stream) error
	// Ended is called once after the end, after the return of Serve and Received.
	Ended func(End)
}

// Cluster is a connection to a cluster.
type Cluster interface {
	// Done is closed when the connection is closed.
	Done() <-chan struct{}
}

const (
	// DefaultReadLimit bounds a message of a client, in bytes.
	DefaultReadLimit = 64 << 10
	// writeTimeout bounds the sending of one message. A client that reads nothing for that time is closed.
	writeTimeout = 10 * time.Second
	// pingInterval is the time between two pings. Proxies close connections that are idle for a minute.
	pingInterval = 20 * time.Second
	// pongTimeout is how long nothing may arrive of a client, not even the answer to a ping.
	pongTimeout = 50 * time.Second
	// endTimeout bounds the last messages of a stream and the wait for the client to close it.
	endTimeout = 500 * time.Millisecond
	// recheckInterval is the time between two checks of a caller's session, and of the right unless a change was
	// reported before. unwatchedInterval is that for clusters whose RBAC objects cannot be watched.
	recheckInterval   = 10 * time.Second
	unwatchedInterval = time.Second
	// checkTimeout bounds one check.
	checkTimeout = 10 * time.Second
	// checkGrace is how long after the last successful check a stream goes on if checks fail without a denial. It is
	// the age up to which verdicts are used.
	checkGrace = 10 * time.Second
)
