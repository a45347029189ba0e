// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"time"
)

// Target identifies what a stream does: for example, exec in a Pod. Each field may be empty.
type Target struct {
	Cluster, Namespace, Pod, Verb string
}

// Verbs of streams, which appear in tickets and as labels of metrics.
const (
	VerbWatch       = "watch"
	VerbLogs        = "logs"
	VerbExec        = "exec"
	VerbAttach      = "attach"
	VerbPortForward = "portforward"
	VerbCopy        = "copy"
	VerbNodeShell   = "nodeshell"
)

// Verbs returns all verbs of streams.
func Verbs() []string {
	return []string{VerbWatch, VerbLogs, VerbExec, VerbAttach, VerbPortForward, VerbCopy, VerbNodeShell}
}

// Message is a WebSocket message from a client.
type Message struct {
	// Binary is true for a binary message, and false for text.
	Binary bool
	Data   []byte
}

// Handler contains the functions and limits of one stream. An endpoint creates it after it has checked that the caller
// may open the stream.
type Handler struct {
	// Subprotocols lists the supported WebSocket subprotocols, the preferred one first. Clients may also use none.
	Subprotocols []string
	// ReadLimit bounds the size of a message from the client, in bytes. Zero means DefaultReadLimit.
	ReadLimit int64
	// Check checks whether the caller may still use the stream. An error that denies the access ends the stream at
	// once. Any other error ends the stream only if no check succeeds for checkGrace. The Manager calls Check about
	// every recheckInterval, and after changes of RBAC objects in the clusters of Depends. If Check is nil, the handler
	// must check the access itself.
	Check func(ctx context.Context) error
	// Depends lists the clusters whose RBAC objects determine whether the caller may use the stream. The Manager calls
	// Check after each change of these objects. The elements must be comparable, because they are keys of a map.
	Depends []Cluster
	// MaxTime bounds the duration of the stream. Zero means no limit.
	MaxTime time.Duration
	// IdleTime bounds the time without a message in either direction. Pings do not count as messages. Zero means no
	// limit.
	IdleTime time.Duration
	// Last returns a text message that is sent before the stream is closed. If Last is nil or returns nil, no message
	// is sent.
	Last func(End) []byte
	// Began is called once before Received and Serve. It may be nil.
	Began func(s *Stream)
	// Received is called with each message from the client. The next message is not read before Received returns. If it
	// returns an error, the stream ends. If Received is nil, messages are discarded.
	Received func(ctx context.Context, s *Stream, m Message) error
	// Serve is called once in its own goroutine, with a context that ends with the stream. When Serve returns, the
	// stream ends. The error of Serve is the reason. If Serve is nil, the stream ends when the client disconnects.
	Serve func(ctx context.Context, s *Stream) error
	// Ended is called once, after the stream has ended and Serve and Received have returned. It may be nil.
	Ended func(End)
}

// Cluster is a connection to a cluster.
type Cluster interface {
	// Done returns a channel that is closed when the connection to the cluster is closed.
	Done() <-chan struct{}
}

const (
	// DefaultReadLimit is the default limit of the size of a message from a client, in bytes.
	DefaultReadLimit = 64 << 10
	// writeTimeout bounds the time to send one message. If it is exceeded because the client does not read, the stream
	// ends.
	writeTimeout = 10 * time.Second
	// pingInterval is the time between two pings. Many proxies close connections that are idle for a minute.
	pingInterval = 20 * time.Second
	// pongTimeout bounds the time without any data or pong from the client. After that time, the stream ends.
	pongTimeout = 50 * time.Second
	// endTimeout bounds the time to send the last message, and the wait until the client closes the connection.
	endTimeout = 500 * time.Millisecond
	// recheckInterval is the maximum interval of the periodic checks of a caller's session and rights.
	recheckInterval    = 10 * time.Second
	minRecheckInterval = time.Second
	// checkTimeout bounds the time for one check of the session and the rights of a caller.
	checkTimeout = 10 * time.Second
	// checkGrace is the time for which a stream continues although its checks fail, for example because a cluster is
	// unreachable. It equals the maximum age of a cached access review (pkg/authorization/verdicts). A check that
	// denies the access ends the stream at once.
	checkGrace = 10 * time.Second
)
