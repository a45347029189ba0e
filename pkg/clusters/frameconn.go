// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
	httpstreamspdy "k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

const (
	// maxFrameBytes bounds the payload of a data frame, in bytes. Kubelets send 32 KiB.
	maxFrameBytes = 128 << 10
	// maxQueuedBytes bounds the payloads that were received but not yet read from the streams, in bytes. When this
	// limit is reached, no further frame is read from the connection until streams have been read.
	maxQueuedBytes = 128 << 10
	// maxControlBytes bounds the payload of a control frame, in bytes.
	maxControlBytes = 1 << 10
	// maxReplyBytes bounds the payload of a SYN_REPLY frame, in bytes. It is small, because the compressed headers in
	// a SYN_REPLY may be much larger in memory. Kubernetes sends SYN_REPLYs without headers.
	maxReplyBytes = 128
	// maxErrorStreamBytes bounds the bytes of an error stream. On such a stream, the cluster sends the result of a
	// command.
	maxErrorStreamBytes = 64 << 10
)

// Constants of the frame format of SPDY/3.1 (section 2.2).
const (
	frameHeaderBytes = 8
	controlBit       = 0x80
	typeSynStream    = 1
	typeSynReply     = 2
	typeHeaders      = 8
)

// errFrame is returned when a cluster sends a SPDY frame that is not allowed, for example for a stream that the client
// has not requested.
var errFrame error = response.NewFailure("the cluster has sent a frame that the protocol does not allow", nil)

// frameConn is a network connection that limits the SPDY frames that the cluster sends. Without these limits, the SPDY
// library allocates as many bytes as the header of a frame states, up to 16 MiB, and queues up to 250 frames.
type frameConn struct {
	net.Conn

	ctx    context.Context //nolint:containedctx // that of the connection
	cancel context.CancelFunc
	// started is true after the response to the upgrade request. From then on, the cluster sends frames.
	started bool

	// header is a buffer for the header of a frame. Only Read uses it, so it needs no lock.
	header [frameHeaderBytes]byte
	// headerRead is the number of bytes that Read has received of an incomplete frame header. Only Read uses it, so it
	// needs no lock.
	headerRead int
	// payload is the number of bytes of the current frame that were not read yet. Only Read uses it, so it needs no
	// lock.
	payload int

	mu sync.Mutex
	// requested is the number of streams that the client has requested.
	requested uint32
	// replied is the number of received SYN_REPLY frames.
	replied uint32
	// unread contains the number of received but unread bytes of each stream. The keys are the stream identifiers. The
	// value for a stream that was reset is -1.
	unread map[uint32]int
	// unreadTotal is the number of received but unread bytes of all streams that were not reset.
	unreadTotal int
	// bytesFreed wakes awaitRoom when the number of received but unread bytes has decreased.
	bytesFreed chan struct{}
	// hasResult is true if at least one byte of the error stream was read. When a command has ended, the cluster sends
	// the result of the command on this stream.
	hasResult bool
	// failure is the reason why the connection has failed: errFrame or ErrTooLarge. It is nil while the connection
	// works.
	failure error
	// streams is the SPDY connection, or nil before the call of setConnection. It is closed when the cluster has sent a
	// frame that is not allowed.
	streams httpstream.Connection
	// creating counts the calls of CreateStream that have not returned.
	creating sync.WaitGroup
}

func newFrameConn(ctx context.Context, conn net.Conn) *frameConn {
	c := &frameConn{Conn: conn, unread: map[uint32]int{}, bytesFreed: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// Close closes the connection. A waiting call of Read then returns an error.
func (c *frameConn) Close() error {
	c.cancel()
	return c.Conn.Close() //nolint:wrapcheck // as it is
}

// awaitCreation waits until all calls of CreateStream have returned. It first cancels the context of the connection, so
// that later calls of CreateStream return an error. It does not close the network connection.
func (c *frameConn) awaitCreation() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.creating.Wait()
}

// Read reads from the connection, at most to the end of the current header or payload. It returns ErrTooLarge if the
// cluster sends a frame that is too large. It returns errFrame if the cluster sends a frame that the protocol does not
// allow.
func (c *frameConn) Read(p []byte) (int, error) {
	if !c.started || len(p) == 0 {
		return c.Conn.Read(p) //nolint:wrapcheck // io.EOF must not be wrapped
	}
	if c.payload > 0 {
		n, err := c.Conn.Read(p[:min(len(p), c.payload)])
		c.payload -= n
		return n, err //nolint:wrapcheck // as above
	}
	if c.headerRead == 0 {
		if err := c.awaitRoom(); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p[:min(len(p), frameHeaderBytes-c.headerRead)])
	c.headerRead += copy(c.header[c.headerRead:], p[:n])
	if c.headerRead < frameHeaderBytes {
		return n, err //nolint:wrapcheck // as above
	}
	c.headerRead = 0
	if refused := c.begin(); refused != nil {
		return 0, c.fail(refused)
	}
	return n, err //nolint:wrapcheck // as above
}

// awaitRoom waits until the received but unread bytes of all streams are fewer than maxQueuedBytes. It returns an error
// if the connection is closed first.
func (c *frameConn) awaitRoom() error {
	for {
		c.mu.Lock()
		full := c.unreadTotal >= maxQueuedBytes
		c.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-c.bytesFreed:
		case <-c.ctx.Done():
			return fmt.Errorf("waiting for the client: %w", context.Cause(c.ctx))
		}
	}
}

// begin checks the complete header of a frame and records the length of its payload.
func (c *frameConn) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.payload = int(binary.BigEndian.Uint32(c.header[4:]) & 0xffffff)
	if c.header[0]&controlBit != 0 {
		return c.beginControl(binary.BigEndian.Uint16(c.header[2:]))
	}
	return c.beginData(binary.BigEndian.Uint32(c.header[:]))
}

func (c *frameConn) beginControl(kind uint16) error {
	limit := maxControlBytes
	switch kind {
	// In Kubernetes, only clients open streams, and neither clients nor servers send additional headers.
	case typeSynStream, typeHeaders:
		return errFrame
	case typeSynReply:
		limit = maxReplyBytes
		c.replied++
		if c.replied > c.requested {
			return errFrame
		}
	default:
	}
	if c.payload > limit {
		return ErrTooLarge
	}
	return nil
}

// beginData adds the length of a data frame's payload to the number of unread bytes of the stream. It returns an error
// if the frame is too large, or if the client has not requested a stream with this identifier.
func (c *frameConn) beginData(stream uint32) error {
	switch {
	case c.payload > maxFrameBytes:
		return ErrTooLarge
	case stream%2 == 0 || stream > 2*c.requested: // The streams of the client have the identifiers 1, 3, 5 and so on.
		return errFrame
	case c.unread[stream] >= 0:
		c.unread[stream] += c.payload
		c.unreadTotal += c.payload
	}
	return nil
}

func (c *frameConn) countRead(stream uint32, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unread[stream] >= n {
		c.unread[stream] -= n
		c.free(n)
	}
}

// reset records that a stream was reset. The unread bytes of this stream, and further bytes that the cluster sends on
// it, no longer count towards maxQueuedBytes.
func (c *frameConn) reset(stream uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free(max(c.unread[stream], 0))
	c.unread[stream] = -1
}

// free records that n unread bytes were read or dropped. The caller must hold the lock.
func (c *frameConn) free(n int) {
	c.unreadTotal -= n
	select {
	case c.bytesFreed <- struct{}{}:
	default:
	}
}

// fail records the reason why the connection has failed, and closes the SPDY connection with all its streams. It
// returns the given reason.
func (c *frameConn) fail(reason error) error {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = reason
		// The library cannot close a single stream while another stream has unread frames.
		c.endStreamsLocked()
	}
	c.mu.Unlock()
	return reason
}

// setConnection stores the SPDY connection, so that it can be closed when the cluster sends a frame that is not
// allowed. If the cluster has already sent such a frame, setConnection closes the SPDY connection at once.
func (c *frameConn) setConnection(streams httpstream.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = streams
	if c.failure != nil {
		c.endStreamsLocked()
	}
}

func (c *frameConn) endStreamsLocked() {
	c.cancel()
	if c.streams != nil {
		go func() { _ = c.streams.Close() }()
	}
}

// noteResult records that n bytes were read from the error stream, on which the cluster sends the result of a command.
func (c *frameConn) noteResult(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hasResult = c.hasResult || n > 0
}

func (c *frameConn) lacksResult() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.hasResult
}

func (c *frameConn) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// limitedUpgrader creates SPDY connections on a frameConn, which is a network connection that limits the received
// frames.
type limitedUpgrader struct {
	*httpstreamspdy.SpdyRoundTripper

	conn func() *frameConn
}

// NewConnection returns the SPDY connection after the response to an upgrade request. If the cluster has refused the
// upgrade, NewConnection returns the Status in the response as an error. The SPDY library would return only the message
// of the Status.
func (u *limitedUpgrader) NewConnection(answer *http.Response) (httpstream.Connection, error) {
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, refusalOf(answer)
	}
	conn := u.conn()
	conn.started = true
	made, err := u.SpdyRoundTripper.NewConnection(answer)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is that of the cluster
	}
	conn.setConnection(made)
	return &limitedConnection{Connection: made, conn: conn}, nil
}

// limitedConnection is a SPDY connection that wraps each of its streams in a limitedStream.
type limitedConnection struct {
	httpstream.Connection

	conn *frameConn
}

// CreateStream creates a stream. It returns ErrTooLarge if the cluster has sent a frame or an error stream that is too
// large. It returns errFrame if the cluster has sent a frame that the protocol does not allow.
func (c *limitedConnection) CreateStream(headers http.Header) (httpstream.Stream, error) {
	if err := c.conn.beginCreation(); err != nil {
		return nil, err
	}
	defer c.conn.creating.Done()
	made, err := c.Connection.CreateStream(headers)
	if err != nil {
		if refused := c.conn.err(); refused != nil {
			return nil, refused
		}
		return nil, err //nolint:wrapcheck // it is that of the cluster
	}
	s := &limitedStream{Stream: made, conn: c.conn, left: -1}
	if headers.Get(corev1.StreamType) == corev1.StreamTypeError {
		s.left = maxErrorStreamBytes
	}
	return s, nil
}

func (c *frameConn) beginCreation() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return c.failure
	}
	if err := context.Cause(c.ctx); err != nil {
		return fmt.Errorf("creating a stream: %w", err)
	}
	c.requested++     // The cluster may now reply, and send data on the stream.
	c.creating.Add(1) // The caller calls Done.
	return nil
}

// limitedStream is a stream that counts the bytes that are read from it. The network connection, a frameConn, needs
// this count to bound the bytes that are received but unread. limitedStream also limits the size of an error stream.
type limitedStream struct {
	httpstream.Stream

	conn *frameConn
	// left is the number of bytes that may still be read from an error stream. It is -1 for other streams, which have
	// no limit.
	left int
}

// Read reads from the stream. It returns ErrTooLarge if an error stream has more than maxErrorStreamBytes, or if the
// cluster has sent a frame that is too large. It returns errFrame if the cluster has sent a frame that the protocol
// does not allow.
func (s *limitedStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	s.conn.countRead(s.Identifier(), n)
	if s.left >= 0 {
		s.conn.noteResult(n)
		if s.left -= n; s.left < 0 {
			s.left = 0
			return 0, s.conn.fail(ErrTooLarge)
		}
	}
	if refused := s.conn.err(); err != nil && refused != nil && n == 0 {
		err = refused
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// Reset resets the stream and drops its unread bytes.
func (s *limitedStream) Reset() error {
	s.conn.reset(s.Identifier())
	return s.Stream.Reset() //nolint:wrapcheck // as it is
}

var _ io.Reader = &limitedStream{}
