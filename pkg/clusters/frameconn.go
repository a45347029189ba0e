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
	// maxFrameBytes bounds a data frame. Kubelets send 32 KiB.
	maxFrameBytes = 128 << 10
	// maxQueuedBytes bounds the bytes of received frames that the streams have not delivered. No further frame is read
	// while it is exceeded.
	maxQueuedBytes = 128 << 10
	// maxControlBytes bounds a control frame. maxReplyBytes bounds a reply, whose headers are compressed. The headers
	// of Kubernetes' replies are empty.
	maxControlBytes = 1 << 10
	maxReplyBytes   = 128
	// maxErrorStreamBytes bounds the error stream of a command.
	maxErrorStreamBytes = 64 << 10
)

// Constants of the format of SPDY/3.1, section 2.2.
const (
	frameHeaderBytes = 8
	controlBit       = 0x80
	typeSynStream    = 1
	typeSynReply     = 2
	typeHeaders      = 8
)

// errFrame is returned when a cluster sends a frame that Kubernetes does not send.
var errFrame error = response.NewFailure("the cluster has sent a frame that the protocol does not allow", nil)

// frameConn limits the SPDY frames that a cluster sends. The SPDY library allocates each frame with the size that its
// header states, up to 16 MiB, and queues up to 250 frames.
type frameConn struct {
	net.Conn

	ctx    context.Context //nolint:containedctx // that of the connection
	cancel context.CancelFunc
	// started is true after the response to the upgrade request, when frames follow.
	started bool

	// header contains headerRead bytes of the next header. payload is the remaining length of the current frame. Only
	// the reading goroutine uses them.
	header     [frameHeaderBytes]byte
	headerRead int
	payload    int

	mu sync.Mutex
	// requested is the number of requested streams. replied is the number of replies.
	requested, replied uint32
	// unread is the number of received bytes of each stream that were not delivered. It is negative if the stream was
	// reset. total is the sum.
	unread map[uint32]int
	total  int
	// delivered receives a value when the total decreases.
	delivered chan struct{}
	// hasStatus is true if a part of the command's result has arrived.
	hasStatus bool
	// failure is the error for a frame that exceeds a bound. streams is the connection that is then closed.
	failure error
	streams httpstream.Connection
	// creating waits for the streams that are being created.
	creating sync.WaitGroup
}

func newFrameConn(ctx context.Context, conn net.Conn) *frameConn {
	c := &frameConn{Conn: conn, unread: map[uint32]int{}, delivered: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// Close closes the connection.
func (c *frameConn) Close() error {
	c.cancel()
	return c.Conn.Close() //nolint:wrapcheck // as it is
}

// awaitCreation cancels the context, and waits until no stream is being created.
func (c *frameConn) awaitCreation() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.creating.Wait()
}

// Read returns an error when the cluster sends a frame that exceeds a bound.
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

// awaitRoom waits until the streams have delivered most of the received bytes.
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

// begin handles the header of a frame.
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
	// Only clients of Kubernetes open streams, and no client or server sends additional headers.
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

// beginData charges a data frame to its stream. The streams of a client have the identifiers 1, 3, 5 and so on.
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

// deliver records that a stream has delivered n bytes.
func (c *frameConn) deliver(stream uint32, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unread[stream] >= n {
		c.unread[stream] -= n
		c.free(n)
	}
}

// reset records that the remaining bytes of a stream will be dropped.
func (c *frameConn) reset(stream uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free(max(c.unread[stream], 0))
	c.unread[stream] = -1
}

// free releases bytes. The caller must hold the lock.
func (c *frameConn) free(n int) {
	c.total -= n
	select {
	case c.delivered <- struct{}{}:
	default:
	}
}

// fail closes the connection with all streams. The library does not close a stream while another stream has unread
// frames.
func (c *frameConn) fail(reason error) error {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = reason
		c.endStreams()
	}
	c.mu.Unlock()
	return reason
}

// use sets the connection to close when a bound is exceeded.
func (c *frameConn) use(streams httpstream.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = streams
	if c.failure != nil {
		c.endStreams()
	}
}

// endStreams closes the connection of the streams, if it is set. The caller must hold the lock.
func (c *frameConn) endStreams() {
	c.cancel()
	if c.streams != nil {
		go func() { _ = c.streams.Close() }()
	}
}

// noteStatus records that n bytes of the command's result have arrived.
func (c *frameConn) noteStatus(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hasStatus = c.hasStatus || n > 0
}

// isCut returns true if the connection ended before the result of a command arrived.
func (c *frameConn) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.hasStatus
}

// err returns the error of the rejected frame, or nil.
func (c *frameConn) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// limitedUpgrader creates connections whose frames are limited.
type limitedUpgrader struct {
	*httpstreamspdy.SpdyRoundTripper

	conn func() *frameConn
}

// NewConnection returns the connection after a response to the upgrade request. If the cluster has refused the upgrade,
// it returns the Status of the response as an error. The SPDY library would return only its text.
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
	conn.use(made)
	return &limitedConnection{Connection: made, conn: conn}, nil
}

// limitedConnection is a connection whose streams report the bytes that they deliver.
type limitedConnection struct {
	httpstream.Connection

	conn *frameConn
}

// CreateStream creates a stream.
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

// beginCreation counts a requested stream, unless the connection has ended.
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

// limitedStream is a stream that reports the bytes that it delivers.
type limitedStream struct {
	httpstream.Stream

	conn *frameConn
	// left is the number of bytes that the stream may still receive. It is negative if they have no bound.
	left int
}

// Read returns ErrTooLarge if the cluster sends more than the bound of the stream.
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

// Reset ends the stream.
func (s *limitedStream) Reset() error {
	s.conn.reset(s.Identifier())
	return s.Stream.Reset() //nolint:wrapcheck // as it is
}

var _ io.Reader = &limitedStream{}
