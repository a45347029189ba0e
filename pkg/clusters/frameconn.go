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
	// maxControlBytes bounds the payload of a control frame, in bytes. maxReplyBytes is the bound for a SYN_REPLY. It
	// is smaller, because the compressed headers in a SYN_REPLY may be much larger in memory. Kubernetes sends
	// SYN_REPLYs without headers.
	maxControlBytes = 1 << 10
	maxReplyBytes   = 128
	// maxErrorStreamBytes bounds the bytes of the error stream of a command, which contains its result.
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

// errFrame is returned when a cluster sends a SPDY frame that no Kubernetes component sends.
var errFrame error = response.NewFailure("the cluster has sent a frame that the protocol does not allow", nil)

// frameConn is a network connection that limits the SPDY frames that the cluster sends. Without these limits, the SPDY
// library allocates as many bytes as the header of a frame states, up to 16 MiB, and queues up to 250 frames.
type frameConn struct {
	net.Conn

	ctx    context.Context //nolint:containedctx // that of the connection
	cancel context.CancelFunc
	// started is true after the response to the upgrade request. From then on, the cluster sends frames.
	started bool

	// header contains the first headerRead bytes of the next frame header. payload is the number of unread bytes of the
	// current frame. Only Read uses them, so they need no lock.
	header     [frameHeaderBytes]byte
	headerRead int
	payload    int

	mu sync.Mutex
	// requested is the number of streams that the client has requested. replied is the number of received SYN_REPLYs.
	requested, replied uint32
	// unread is the number of bytes of each stream that were received but not read from the stream. It is -1 for a
	// stream that was reset. total is the sum over all streams that were not reset.
	unread map[uint32]int
	total  int
	// delivered receives a value whenever total decreases.
	delivered chan struct{}
	// hasStatus is true if at least one byte of the command's result was read.
	hasStatus bool
	// failure is the error of the first frame that is not allowed, or nil. streams is the SPDY connection, or nil
	// before the call of use(). The SPDY connection is closed when failure is set.
	failure error
	streams httpstream.Connection
	// creating counts the calls of CreateStream that have not returned.
	creating sync.WaitGroup
}

func newFrameConn(ctx context.Context, conn net.Conn) *frameConn {
	c := &frameConn{Conn: conn, unread: map[uint32]int{}, delivered: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// Close closes the connection, and ends calls that wait for streams to be read.
func (c *frameConn) Close() error {
	c.cancel()
	return c.Conn.Close() //nolint:wrapcheck // as it is
}

// awaitCreation cancels the context of the connection, so that no further stream is created, and waits until all calls
// of CreateStream have returned.
func (c *frameConn) awaitCreation() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.creating.Wait()
}

// Read reads from the connection, at most to the end of the current header or payload. It returns errFrame or
// ErrTooLarge if the cluster sends a frame that is not allowed.
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
		full := c.total >= maxQueuedBytes
		c.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-c.delivered:
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

// beginData adds the payload of a data frame to the unread bytes of its stream. It returns an error if the frame is too
// large, or if the client has not requested the stream. Streams of clients have the identifiers 1, 3, 5 and so on.
func (c *frameConn) beginData(stream uint32) error {
	switch {
	case c.payload > maxFrameBytes:
		return ErrTooLarge
	case stream%2 == 0 || stream > 2*c.requested:
		return errFrame
	case c.unread[stream] >= 0:
		c.unread[stream] += c.payload
		c.total += c.payload
	}
	return nil
}

// deliver records that n bytes were read from a stream.
func (c *frameConn) deliver(stream uint32, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unread[stream] >= n {
		c.unread[stream] -= n
		c.free(n)
	}
}

// reset records that the unread bytes of a stream are dropped, and that further bytes will be dropped, too.
func (c *frameConn) reset(stream uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free(max(c.unread[stream], 0))
	c.unread[stream] = -1
}

// free subtracts n from total and wakes awaitRoom. The caller must hold the lock.
func (c *frameConn) free(n int) {
	c.total -= n
	select {
	case c.delivered <- struct{}{}:
	default:
	}
}

// fail records the error of the first frame that is not allowed, and closes the SPDY connection with all its streams.
// The library cannot close a single stream while another stream has unread frames. fail returns the given error.
func (c *frameConn) fail(reason error) error {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = reason
		c.endStreams()
	}
	c.mu.Unlock()
	return reason
}

// setConnection stores the SPDY connection, so that fail() can close it. If fail() was called before, setConnection
// closes the connection at once.
func (c *frameConn) setConnection(streams httpstream.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = streams
	if c.failure != nil {
		c.endStreams()
	}
}

// endStreams cancels the context, and closes the SPDY connection if it is set. The caller must hold the lock.
func (c *frameConn) endStreams() {
	c.cancel()
	if c.streams != nil {
		go func() { _ = c.streams.Close() }()
	}
}

// noteStatus records that n bytes of the command's result were read.
func (c *frameConn) noteStatus(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hasStatus = c.hasStatus || n > 0
}

// isCut returns true if no byte of the command's result was read. Every command that has ended has a result. Therefore,
// if the connection has ended and isCut returns true, the connection was closed before the command ended.
func (c *frameConn) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.hasStatus
}

// err returns the error of the first frame that was not allowed, or nil.
func (c *frameConn) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// limitedUpgrader creates SPDY connections on a frameConn.
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

// limitedConnection is a SPDY connection whose streams report to the frameConn how many bytes were read from them.
type limitedConnection struct {
	httpstream.Connection

	conn *frameConn
}

// CreateStream creates a stream. If the cluster has sent a frame that is not allowed, it returns the error of this
// frame.
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

// beginCreation counts a requested stream. It returns an error if the connection has failed or was closed.
func (c *frameConn) beginCreation() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return c.failure
	}
	if err := context.Cause(c.ctx); err != nil {
		return fmt.Errorf("creating a stream: %w", err)
	}
	c.requested++
	c.creating.Add(1)
	return nil
}

// limitedStream is a stream that reports to the frameConn how many bytes were read from it.
type limitedStream struct {
	httpstream.Stream

	conn *frameConn
	// left is the number of bytes that may still be read from an error stream. It is -1 for other streams, which have
	// no limit.
	left int
}

// Read reads from the stream. It returns ErrTooLarge if an error stream has more than maxErrorStreamBytes. If the
// connection was closed because of a frame that is not allowed, Read returns the error of this frame.
func (s *limitedStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	s.conn.deliver(s.Identifier(), n)
	if s.left >= 0 {
		s.conn.noteStatus(n)
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
