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

// Verbs of streams.
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

// Handler serves one stream. The endpoint creates it after the review of the caller's right.
type Handler struct {
	// Subprotocols are the supported subprotocols, in the order of preference. If the client offers none, none is used.
	Subprotocols []string
	// ReadLimit bounds a message of the client, in bytes. Zero means DefaultReadLimit.
	ReadLimit int64
	// Check returns an error if the caller has lost the right to the stream. It is called about every recheckInterval,
	// and immediately after a change that concerns Depends. A denial ends the stream; another error ends it after
	// checkGrace. If it is nil, the endpoint checks the right itself.
	Check func(ctx context.Context) error
	// Depends are the connections to the clusters whose RBAC objects affect Check, in addition to the connection to the
	// host. They must be comparable.
	Depends []Cluster
	// MaxTime bounds the duration of the stream. IdleTime bounds the time without a message in either direction. Zero
	// means no bound. Pings are not messages.
	MaxTime, IdleTime time.Duration
	// Last returns the last message that is sent before the socket is closed, or nil. It is sent as text.
	Last func(End) []byte
	// Began is called once, before Received and Serve.
	Began func(s *Stream)
	// Received is called with each message of the client, one at a time. No further message is read until it returns.
	// If it returns an error, the stream ends. If it is nil, messages are discarded.
	Received func(ctx context.Context, s *Stream, m Message) error
	// Serve is called once. The stream ends when Serve returns, with its error as the reason. If it is nil, the stream
	// ends when the client disconnects. The context ends with the stream.
	Serve func(ctx context.Context, s *Stream) error
	// Ended is called once after the stream has ended and Serve and Received have returned.
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
	// writeTimeout bounds the time for sending one message. If the client does not read the message in this time, the
	// connection is closed.
	writeTimeout = 10 * time.Second
	// pingInterval is the time between two pings. Many proxies close connections that are idle for a minute.
	pingInterval = 20 * time.Second
	// pongTimeout bounds the time without any data from the client, including pongs.
	pongTimeout = 50 * time.Second
	// endTimeout bounds the last messages of a stream, and the wait for the client to close the connection.
	endTimeout = 500 * time.Millisecond
	// recheckInterval is the time between two checks of the session and the right of a caller, unless a change is
	// reported earlier. unwatchedInterval is the interval for clusters whose RBAC objects cannot be watched.
	recheckInterval   = 10 * time.Second
	unwatchedInterval = time.Second
	// checkTimeout bounds one check.
	checkTimeout = 10 * time.Second
	// checkGrace is the time after the last successful check for which a stream continues if checks fail without a
	// denial. It equals the maximum age of verdicts.
	checkGrace = 10 * time.Second
)
