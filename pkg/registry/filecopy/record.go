// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filecopy

import (
	"errors"
	"fmt"

	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// begin creates a recording with the user, the path and the direction of the transfer. If the recording cannot be
// created, begin ends the transfer. It does nothing if recordings are disabled.
func (t *transfer) begin(stream *streams.Stream) {
	if t.provider.Recordings == nil {
		return
	}
	direction := fromParameter
	if t.request.in {
		direction = toParameter
	}
	call := t.request.Call
	var err error
	if t.recording, err = t.provider.Recordings.Begin(recording.Terminal{
		User: t.request.User.GetName(), Cluster: t.request.Cluster, Namespace: call.Namespace, Pod: call.Name,
		Container: call.Query.Get("container"), Verb: streams.VerbCopy, Command: []string{direction, t.request.path},
	}); err != nil {
		klog.FromContext(stream.Context()).Error(err, "A copy of files cannot be recorded")
		stream.End(streams.NewEnd(streams.Failed, "copies of files must be recorded, and this one cannot be"))
	}
}

func (t *transfer) ended(end streams.End) {
	if t.recording == nil {
		return
	}
	f := t.frame()
	err := errors.Join(
		t.recording.Mark(fmt.Sprintf("ended: %s, %d bytes, %d files", end.Reason, f.Bytes, f.Files)),
		t.recording.Close(),
	)
	if err != nil {
		klog.Background().Error(err, "The end of a copy of files cannot be recorded")
	}
}
