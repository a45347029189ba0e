// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Types of the text frames of a terminal.
const (
	frameInput  = "input"
	frameResize = "resize"
	framePing   = "ping"
	frameOutput = "output"
	frameInfo   = "info"
	frameError  = "error"
	frameClose  = "close"
)

// session is the state of one terminal.
type session struct {
	request  *request
	provider *Provider
	sizes    *sizeQueue
	// input is the write end of the pipe for the input of the client.
	input *io.PipeWriter
	// inputRead is the read end of the pipe for the input of the client. The command reads from this end.
	inputRead *io.PipeReader

	// recording records the terminal, or is nil.
	recording *terminalRecorder

	mu sync.Mutex
	// exitCode is the exit code of the command, or nil before the command has ended.
	exitCode *int
}

func newSession(t *request, p *Provider) *session {
	s := &session{request: t, provider: p, sizes: newSizeQueue()}
	s.inputRead, s.input = io.Pipe()
	return s
}

func (s *session) handler() *streams.Handler {
	return &streams.Handler{
		Check:    s.request.Check,
		Depends:  []streams.Cluster{s.request.Caller.Connection()},
		IdleTime: s.provider.IdleTime, MaxTime: s.provider.MaxTime,
		Last: s.last, Began: s.begin, Received: s.received, Serve: s.serve, Ended: s.ended,
	}
}

// received handles a message from the client. It blocks until the command has read the input in the message.
func (s *session) received(_ context.Context, stream *streams.Stream, m streams.Message) error {
	if m.Binary {
		if len(m.Data) == 0 || m.Data[0] != channelInput {
			return streams.NewEnd(streams.Malformed, "a binary message must begin with the number of its channel")
		}
		return s.write(m.Data[1:]) //nolint:contextcheck // a recording fails with the session
	}
	var f dashboardv1alpha1.TerminalFrame
	if err := stream.Work(func() error { return routes.DecodeJSON(m.Data, &f) }); err != nil {
		return err //nolint:wrapcheck // it has its code
	}
	size, err := sizeOf(&f)
	if err != nil {
		return err
	}
	switch f.Type {
	case frameInput:
		return s.write([]byte(f.Data)) //nolint:contextcheck // a recording fails with the session
	case frameResize:
		s.sizes.push(size)
		return s.recordSize(size) //nolint:contextcheck // a recording fails with the session
	case framePing: // Nothing to do: every message keeps the connection open.
		return nil
	default:
		return streams.NewEnd(streams.Malformed, "unknown type of frame")
	}
}

func (s *session) write(p []byte) error {
	if !s.request.stdin || len(p) == 0 {
		return nil
	}
	if err := s.recordInput(p); err != nil {
		return err
	}
	if _, err := s.input.Write(p); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("passing on the input: %w", err)
	}
	return nil
}

// serve runs the command, and returns when it has ended.
func (s *session) serve(ctx context.Context, stream *streams.Stream) error {
	defer func() { _ = s.inputRead.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = s.inputRead.Close() })
	defer stop()
	if err := stream.Account().Take(terminalBytes); err != nil {
		return envelope.OutOfMemory(err)
	}
	if err := stream.SendText(encode(s.limits())); err != nil {
		return err
	}
	out, errorOut := s.output(stream, channelOutput), s.output(stream, channelError)
	options := remotecommand.StreamOptions{Stdout: out, Tty: s.request.tty}
	if s.request.stdin {
		options.Stdin = s.inputRead
	}
	if s.request.tty {
		options.TerminalSizeQueue = s.sizes
	} else {
		options.Stderr = errorOut
	}
	if node := s.request.nodeShell; node != nil {
		defer node.deletePod(ctx)
		if err := node.start(ctx); err != nil {
			return s.failed(ctx, stream, err)
		}
	}
	err := s.request.Caller.Exec(s.request.WithProof(ctx), s.request.Call, options)
	out.flush()
	errorOut.flush()
	return s.result(ctx, stream, err)
}

// output returns the writer for the output of the command on a channel.
func (s *session) output(stream *streams.Stream, channel byte) *output {
	return &output{stream: stream, record: s.recordOutput, channel: channel, binary: s.request.binary}
}

// limits returns the first frame of a terminal. The frame contains the idle time and the longest duration of the
// terminal.
func (s *session) limits() dashboardv1alpha1.TerminalFrame {
	idle, longest := s.provider.IdleTime, s.provider.MaxTime
	return dashboardv1alpha1.TerminalFrame{
		Type:        frameInfo,
		Data:        fmt.Sprintf("ends after %s without input and output, and after %s at the latest", idle, longest),
		IdleSeconds: int64(idle / time.Second), MaxSeconds: int64(longest / time.Second),
	}
}

// result handles err, the result of running the command. If the command has exited with any exit code, result stores
// the exit code for the last frame, and returns nil. It sends any other error to the client and returns the error.
func (s *session) result(ctx context.Context, stream *streams.Stream, err error) error {
	code := 0
	if exited, ok := errors.AsType[exec.CodeExitError](err); ok {
		code, err = exited.Code, nil
	}
	if err == nil {
		s.mu.Lock()
		s.exitCode = &code
		s.mu.Unlock()
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.failed(ctx, stream, s.request.CallError(ctx, err))
}

// failed sends err to the client and returns err. If ctx has ended, failed sends nothing, and returns the cause of the
// end.
func (s *session) failed(ctx context.Context, stream *streams.Stream, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	message := streams.EndOf(err).Message
	_ = stream.SendText(encode(dashboardv1alpha1.TerminalFrame{Type: frameError, Data: message}))
	return err
}

// last returns the last frame, which contains the reason of the end and the exit code. At a shutdown of the server, it
// returns nil, because the client should reconnect.
func (s *session) last(end streams.End) []byte {
	if end.Reason == streams.Shutdown {
		return nil
	}
	f := dashboardv1alpha1.TerminalFrame{Type: frameClose, Data: end.Message, Reason: string(end.Reason)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exitCode != nil {
		code := int32(*s.exitCode) //nolint:gosec // Kubernetes has 32 bits for it, too
		f.ExitCode, f.Data = &code, fmt.Sprintf("the command has ended with exit code %d", *s.exitCode)
	}
	return encode(f)
}
