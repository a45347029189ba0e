// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"context"
	"errors"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// checkRecordings returns an error if the terminal must be recorded, but a recording cannot be created.
func (p *Provider) checkRecordings(ctx context.Context) error {
	if p.Recordings == nil {
		return nil
	}
	if err := p.Recordings.Check(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Terminals cannot be recorded")
		return envelope.New(dashboardv1alpha1.CodeUnreachable,
			"terminals must be recorded, and this one cannot be: ask an administrator").WithCause(err)
	}
	return nil
}

// begin starts the recording, if recordings are enabled. If the recording cannot be started, begin ends the stream.
// begin is called before the first message is received, so that the recording does not omit the first messages.
func (s *session) begin(stream *streams.Stream) {
	if s.provider.Recordings == nil {
		return
	}
	if err := s.record(stream); err != nil {
		klog.FromContext(stream.Context()).Error(err, "A terminal cannot be recorded")
		stream.End(errUnrecorded())
	}
}

func (s *session) record(stream *streams.Stream) error {
	if err := stream.Account().Take(s.provider.Recordings.Memory()); err != nil {
		return envelope.OutOfMemory(err)
	}
	call := s.request.Call
	command := call.Query["command"]
	if s.request.nodeShell != nil {
		command = []string{"node", s.request.nodeShell.node}
	}
	r, err := s.provider.Recordings.Begin(recording.Terminal{
		User: s.request.User.GetName(), Cluster: s.request.Cluster, Namespace: call.Namespace, Pod: call.Name,
		Container: call.Query.Get("container"), Verb: s.request.verb, Command: command,
	})
	if err != nil {
		return err //nolint:wrapcheck // it is logged
	}
	s.recording = &terminalRecorder{Recording: r, stream: stream}
	r.OnFailure(s.recording.failed)
	return nil
}

func errUnrecorded() *streams.End {
	return streams.NewEnd(streams.Failed, "the terminal must be recorded, but cannot be recorded")
}

// terminalRecorder records a terminal. It ends the stream if the recording fails.
type terminalRecorder struct {
	*recording.Recording

	stream *streams.Stream
}

func (r *terminalRecorder) failed(err error) {
	klog.FromContext(r.stream.Context()).Error(err, "A terminal can no longer be recorded")
	r.stream.End(errUnrecorded())
}

// result handles the result of adding data to the recording. If err is not nil, it ends the stream and returns the
// reason for the end. If err is nil, it returns nil.
func (r *terminalRecorder) result(err error) error {
	if err == nil {
		return nil
	}
	r.failed(err)
	return errUnrecorded()
}

func (s *session) recordOutput(p []byte) error {
	if s.recording == nil {
		return nil
	}
	return s.recording.result(s.recording.Output(p))
}

// recordInput adds input from the client to the recording of the terminal. Without a TTY, the input is always recorded,
// because the output does not contain it. With a TTY, the output echoes most of the input. The input is then recorded
// only if the recording of input is enabled.
func (s *session) recordInput(p []byte) error {
	if s.recording == nil || (s.request.tty && !s.provider.Recordings.RecordsInput()) {
		return nil
	}
	return s.recording.result(s.recording.Input(p))
}

func (s *session) recordSize(size remotecommand.TerminalSize) error {
	if s.recording == nil || size.Width == 0 || size.Height == 0 {
		return nil
	}
	return s.recording.result(s.recording.Resize(size.Width, size.Height))
}

// ended ends the recording, if there is one. It first writes end.Reason to the recording.
func (s *session) ended(end streams.End) {
	s.sizes.close()
	if s.recording == nil {
		return
	}
	err := errors.Join(s.recording.Mark("ended: "+string(end.Reason)), s.recording.Close())
	if err != nil {
		klog.FromContext(s.recording.stream.Context()).Error(err, "Failed to record that a terminal has ended")
	}
}
