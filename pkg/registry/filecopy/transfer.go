// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filecopy

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Types of the text frames of a copy.
const (
	frameInfo     = "info"
	frameProgress = "progress"
	frameEnd      = "end"
	frameError    = "error"
	frameClose    = "close"
)

const (
	// progressInterval is the time between two progress frames.
	progressInterval = 500 * time.Millisecond
	// messageBytes is the maximum size of the content in one message to the client, in bytes.
	messageBytes = 32 << 10
	// maxErrorText is the maximum size of the error output of tar in an error message, in bytes.
	maxErrorText = 1 << 10
)

// transfer is the state of one copy of files into a container or out of it.
type transfer struct {
	request  *request
	provider *Provider
	// recording stores the user, the path and the size of the transfer. It is nil if the transfer is not recorded.
	recording *recording.Recording
	// input is the write end of a pipe for the content that the client sends.
	input *io.PipeWriter
	// inputRead is the read end of the pipe for the content that the client sends.
	inputRead *io.PipeReader

	mu       sync.Mutex
	progress dashboardv1alpha1.CopyFrame
	reported time.Time
	// complete is true after the client has sent the frame with the type frameEnd, which ends the content.
	complete bool
}

func newTransfer(q *request, p *Provider) *transfer {
	t := &transfer{request: q, provider: p}
	t.inputRead, t.input = io.Pipe()
	return t
}

// received handles a message from the client. It passes content to the command in the container, and blocks until the
// command has read it.
func (t *transfer) received(_ context.Context, stream *streams.Stream, m streams.Message) error {
	t.mu.Lock()
	unwanted := !t.request.in || t.complete
	t.mu.Unlock()
	if !m.Binary {
		return t.control(stream, m.Data)
	}
	if unwanted {
		return streams.NewEnd(streams.Malformed, "the client must not send more data")
	}
	if _, err := t.input.Write(m.Data); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("passing on the content: %w", err)
	}
	return nil
}

func (t *transfer) control(stream *streams.Stream, data []byte) error {
	var f dashboardv1alpha1.CopyFrame
	if err := stream.Work(func() error { return routes.DecodeJSON(data, &f) }); err != nil {
		return err //nolint:wrapcheck // it has its code
	}
	if f.Type != frameEnd {
		return streams.NewEnd(streams.Malformed, "unknown type of frame")
	}
	t.mu.Lock()
	t.complete = true
	t.mu.Unlock()
	_ = t.input.Close() // Close of a pipe never fails.
	return nil
}

// serve transfers the files and returns at the end. It sends an error frame if the transfer fails.
func (t *transfer) serve(ctx context.Context, stream *streams.Stream) error {
	defer func() { _ = t.inputRead.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = t.inputRead.CloseWithError(context.Cause(ctx)) })
	defer stop()
	if err := stream.Account().Take(copyBytes); err != nil {
		return envelope.OutOfMemory(err)
	}
	if err := stream.SendText(encode(dashboardv1alpha1.CopyFrame{
		Type: frameInfo, MaxBytes: t.provider.MaxBytes, MaxSeconds: int64(maxTime / time.Second),
	})); err != nil {
		return err //nolint:wrapcheck // it is an end
	}
	copyFiles := t.copyOut
	if t.request.in {
		copyFiles = t.copyIn
	}
	err := copyFiles(ctx, stream)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		_ = stream.SendText(encode(dashboardv1alpha1.CopyFrame{Type: frameError, Data: streams.EndOf(err).Message}))
	}
	return err
}

// errNoFile is returned if an archive that should contain a single file contains none. tar writes an empty archive if
// the path does not exist.
var errNoFile = errors.New("there is no file in the archive")

// copyOut runs tar in the container, and sends the content of the file, or the archive of the directory, to the client.
func (t *transfer) copyOut(ctx context.Context, stream *streams.Stream) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	read, write := io.Pipe()
	ran := make(chan error, 1)
	go func() {
		err := fanout.Safely(running, func() error {
			return t.run(running, remotecommand.StreamOptions{Stdout: write}, outCommand(t.request))
		})
		_ = write.CloseWithError(err) // a nil error closes the pipe with io.EOF
		ran <- err
	}()
	err := t.sendEntries(newEntries(read, &limits{bytes: t.provider.MaxBytes}), stream)
	if err != nil && !errors.Is(err, errNoFile) {
		cancel()
	} else { // tar continues, because its exit code and its error output are needed
		// The archive ends before the output of tar ends, because tar adds padding. tar can exit only after this
		// padding was read from the pipe.
		_, _ = io.Copy(io.Discard, io.LimitReader(read, maxHeaderBytes))
	}
	_ = read.CloseWithError(io.ErrClosedPipe)
	failed := <-ran
	switch {
	case err == nil:
		return failed
	case errors.Is(err, errNoFile):
		err = streams.NewEnd(streams.Malformed, "there is no such file")
	}
	end, isEnd := errors.AsType[*streams.End](err)
	known, isKnown := errors.AsType[*envelope.Error](failed)
	if isEnd && end.Reason == streams.Malformed && isKnown && known.Code == dashboardv1alpha1.CodeRejected {
		return failed // the error output of tar contains the reason
	}
	return err
}

// sendEntries sends all entries of an archive to the client.
func (t *transfer) sendEntries(from *entries, stream *streams.Stream) error {
	out := &sender{transfer: t, stream: stream}
	var archive *tar.Writer
	if t.request.tar {
		archive = tar.NewWriter(out)
	}
	for {
		header, err := from.next()
		t.updateProgress(func(f *dashboardv1alpha1.CopyFrame) { f.Skipped = from.skipped })
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := t.sendEntry(from, header, archive, out); err != nil {
			return err
		}
	}
	if archive != nil {
		if err := archive.Close(); err != nil {
			return fmt.Errorf("ending the archive: %w", err)
		}
	} else if t.frame().Files == 0 {
		return errNoFile
	}
	return out.flush()
}

// sendEntry sends one file or directory to the client. archive is nil if the client receives the content of one file.
func (t *transfer) sendEntry(from *entries, header *tar.Header, archive *tar.Writer, out *sender) error {
	isFile := header.Typeflag == tar.TypeReg
	if archive == nil && (!isFile || t.frame().Files > 0) {
		return streams.NewEnd(streams.Malformed, "the path is not a single file: use format=tar")
	}
	t.updateProgress(func(f *dashboardv1alpha1.CopyFrame) {
		if isFile {
			f.Files++
		}
		if archive == nil {
			f.Size = header.Size
		}
	})
	if archive == nil {
		return from.copyTo(out)
	}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	return from.copyTo(archive)
}

// updateProgress changes t.progress with the function change. It holds t.mu during the call.
func (t *transfer) updateProgress(change func(*dashboardv1alpha1.CopyFrame)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.progress)
}

func (t *transfer) frame() dashboardv1alpha1.CopyFrame {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.progress
}

// report sends a progress frame if progressInterval has passed since the last one.
func (t *transfer) report(stream *streams.Stream) error {
	t.mu.Lock()
	f := t.progress
	due := time.Since(t.reported) >= progressInterval
	if due {
		t.reported = time.Now()
	}
	t.mu.Unlock()
	if !due {
		return nil
	}
	f.Type = frameProgress
	return stream.SendText(encode(f)) //nolint:wrapcheck // it is an end
}

// last returns the last frame, which contains the result of the transfer and the reason of its end.
func (t *transfer) last(end streams.End) []byte {
	f := t.frame()
	f.Type, f.Reason, f.Data = frameClose, string(end.Reason), end.Message
	return encode(f)
}

// sender is an io.Writer that sends content to the client in messages of messageBytes, and counts the bytes.
type sender struct {
	transfer *transfer
	stream   *streams.Stream
	pending  []byte
}

// Write implements io.Writer. It blocks while the client does not read.
func (s *sender) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), messageBytes-len(s.pending))
		s.pending, rest = append(s.pending, rest[:n]...), rest[n:]
		if len(s.pending) == messageBytes {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (s *sender) flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	if err := s.stream.SendBinary(s.pending); err != nil {
		return err //nolint:wrapcheck // it is an end
	}
	s.transfer.updateProgress(func(f *dashboardv1alpha1.CopyFrame) { f.Bytes += int64(len(s.pending)) })
	s.pending = s.pending[:0]
	return s.transfer.report(s.stream)
}

// run runs command in the container until it exits. If the command fails, the error contains its error output.
func (t *transfer) run(ctx context.Context, options remotecommand.StreamOptions, command []string) error {
	said := &errorText{}
	options.Stderr = said
	call := t.request.Call
	call.Query["command"] = command
	err := t.request.Caller.Exec(t.request.WithProof(ctx), call, options)
	if failed, ok := errors.AsType[exec.CodeExitError](err); ok {
		return envelope.New(dashboardv1alpha1.CodeRejected, "tar has failed in the container, with exit code %d: %s",
			failed.Code, response.Text(string(said.text), maxErrorText))
	}
	if err != nil {
		return t.request.CallError(ctx, err) //nolint:wrapcheck // it has its code
	}
	return nil
}

// errorText stores the first maxErrorText bytes of the error output of a command.
type errorText struct{ text []byte }

// Write implements io.Writer.
func (e *errorText) Write(p []byte) (int, error) {
	e.text = append(e.text, p[:min(len(p), maxErrorText-len(e.text))]...)
	return len(p), nil
}

func encode(f dashboardv1alpha1.CopyFrame) []byte {
	text, err := json.Marshal(f)
	if err != nil { // Impossible, because a frame contains only strings and numbers.
		return nil
	}
	return text
}
