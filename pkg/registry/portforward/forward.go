// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package portforward

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// maxMessage bounds the size of a message from the client, in bytes.
	maxMessage = 64 << 10
	// maxPiece bounds the size of the data in a message to the client, in bytes.
	maxPiece = 32 << 10
	// maxError bounds the bytes of a message on an error channel.
	maxError = 1 << 10
	// channelsOfPort is the number of channels of a port: one for data, and one for errors.
	channelsOfPort = 2
)

// forward is the state of one stream to the ports of a Pod.
type forward struct {
	request *request

	// mu protects inputs.
	mu sync.Mutex
	// inputs contains the write end of the pipe to each port.
	inputs []io.WriteCloser
}

// pipes creates a pipe for each port. It stores the write ends in f.inputs and returns the read ends.
func (f *forward) pipes() (reads []*io.PipeReader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range f.request.ports {
		read, write := io.Pipe()
		reads, f.inputs = append(reads, read), append(f.inputs, write)
	}
	return reads
}

// received handles a message from the client. The first byte of the message is the number of the data channel of a
// port. The method writes the other bytes to the pipe of this port. It blocks until the connection to the port has read
// these bytes.
func (f *forward) received(ctx context.Context, _ *streams.Stream, m streams.Message) error {
	if !m.Binary || len(m.Data) == 0 || m.Data[0]%channelsOfPort != 0 ||
		int(m.Data[0])/channelsOfPort >= len(f.request.ports) {
		return streams.NewEnd(streams.Malformed,
			"a message must be binary, and begin with the number of a channel for data")
	}
	f.mu.Lock()
	var input io.Writer
	if i := int(m.Data[0]) / channelsOfPort; i < len(f.inputs) {
		input = f.inputs[i]
	}
	f.mu.Unlock()
	if input == nil {
		return streams.NewEnd(streams.Malformed, "the client must wait for the first message of the server")
	}
	if _, err := input.Write(m.Data[1:]); err != nil && ctx.Err() == nil && !errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("passing on the data: %w", err)
	}
	return nil
}

// serve connects to all ports, and copies data in both directions until all connections have ended.
func (f *forward) serve(ctx context.Context, s *streams.Stream) error {
	q := f.request
	if err := s.Account().Take(forwardBytes * int64(len(q.ports))); err != nil {
		return envelope.OutOfMemory(err)
	}
	if s.Subprotocol() != Subprotocol {
		return streams.NewEnd(streams.Malformed, "the client must request the subprotocol "+Subprotocol)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	connection, err := q.Caller.Forward(q.WithProof(ctx), q.Call, portforward.PortForwardV1Name)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return q.CallError(ctx, err)
	}
	defer func() { _ = connection.Close() }()
	reads := f.pipes()
	stop := context.AfterFunc(ctx, func() {
		for _, read := range reads {
			_ = read.Close()
		}
	})
	defer stop()
	if err := f.begin(s); err != nil {
		return err
	}
	var ports sync.WaitGroup
	for i, port := range q.ports {
		ports.Go(func() {
			defer func() { _ = reads[i].Close() }()
			if err := forwardPort(ctx, s, connection, i, port, reads[i]); err != nil {
				channel := byte(i*channelsOfPort + 1) //nolint:gosec // there are few ports
				_ = s.SendBinary(append([]byte{channel}, response.Text(err.Error(), maxError)...))
			}
		})
	}
	ports.Wait()
	return context.Cause(ctx)
}

// begin sends the port number on each of the two channels of each port, as the subprotocol requires.
func (f *forward) begin(s *streams.Stream) error {
	for i, port := range f.request.ports {
		for channel := range channelsOfPort {
			message := binary.LittleEndian.AppendUint16([]byte{byte(i*channelsOfPort + channel)}, port)
			if err := s.SendBinary(message); err != nil {
				return err //nolint:wrapcheck // it is an end
			}
		}
	}
	return nil
}

// forwardPort connects to one port, and copies data in both directions until the connection ends. It returns an error
// if the connection could not be opened, or if the cluster reports that the connection has failed.
func forwardPort(
	ctx context.Context, s *streams.Stream, connection httpstream.Connection, index int, port uint16, input io.Reader,
) error {
	header := http.Header{}
	header.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	header.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(index))
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	failure, err := connection.CreateStream(header)
	if err != nil {
		return errors.New("the cluster has not opened a stream")
	}
	defer connection.RemoveStreams(failure)
	_ = failure.Close() // the client sends nothing on the error stream
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(header)
	if err != nil {
		return errors.New("the cluster has not opened a stream")
	}
	defer connection.RemoveStreams(data)
	go func() {
		_, _ = io.Copy(data, input)
		_ = data.Close() // closes one direction only: the port may still send
	}()
	buffer := make([]byte, maxPiece+1)
	buffer[0] = byte(index * channelsOfPort) //nolint:gosec // there are few ports
	for {
		n, err := data.Read(buffer[1:])
		if n > 0 {
			if err := s.SendBinary(buffer[:n+1]); err != nil {
				_ = data.Reset()
				return nil // the client has disconnected
			}
		}
		if err != nil {
			break
		}
	}
	_ = data.Reset() // unread data would block the error stream
	text, err := io.ReadAll(io.LimitReader(failure, maxError))
	if err != nil || len(text) == 0 || ctx.Err() != nil {
		return nil // the error stream is empty
	}
	return errors.New(string(text))
}
