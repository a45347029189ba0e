// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/client-go/tools/remotecommand"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

type recorder struct {
	texts, binaries [][]byte
}

func (r *recorder) SendText(p []byte) error {
	r.texts = append(r.texts, bytes.Clone(p))
	return nil
}

func (r *recorder) SendBinary(p []byte) error {
	r.binaries = append(r.binaries, bytes.Clone(p))
	return nil
}

func (r *recorder) shown(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, text := range r.texts {
		var f dashboardv1alpha1.TerminalFrame
		if err := json.Unmarshal(text, &f); err != nil || !utf8.Valid(text) || f.Type != frameOutput {
			t.Fatalf("frame %q: %v", text, err)
		}
		out.WriteString(f.Data)
	}
	return out.String()
}

// TestCharactersStayWhole verifies that a character that is split over several writes is sent in one frame.
func TestCharactersStayWhole(t *testing.T) {
	const text = "aü€😀\x1b[0m<&>"
	for size := 1; size <= len(text); size++ {
		r := &recorder{}
		o := &output{record: unrecorded, stream: r, channel: channelOutput}
		for piece := []byte(text); len(piece) > 0; {
			n := min(size, len(piece))
			if _, err := o.Write(piece[:n]); err != nil {
				t.Fatal(err)
			}
			piece = piece[n:]
		}
		o.flush()
		if got := r.shown(t); got != text {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}

// TestWhatIsNoText verifies that invalid UTF-8 is replaced in text frames and not changed in binary frames.
func TestWhatIsNoText(t *testing.T) {
	in := []byte("a\xff\xf0\x9f")
	r := &recorder{}
	o := &output{record: unrecorded, stream: r, channel: channelOutput}
	_, _ = o.Write(in)
	o.flush()
	if got := r.shown(t); got != "a\uFFFD\uFFFD" {
		t.Errorf("got %q", got)
	}
	r = &recorder{}
	o = &output{record: unrecorded, stream: r, channel: channelError, binary: true}
	_, _ = o.Write(in)
	o.flush()
	if len(r.binaries) != 1 || !bytes.Equal(r.binaries[0], append([]byte{channelError}, in...)) || len(r.texts) > 0 {
		t.Errorf("got %q and %q", r.binaries, r.texts)
	}
}

func TestLargeWrites(t *testing.T) {
	r := &recorder{}
	in := bytes.Repeat([]byte{'x'}, 3*maxFrame+1)
	out := &output{record: unrecorded, stream: r, channel: channelOutput, binary: true}
	if n, err := out.Write(in); n != len(in) || err != nil {
		t.Fatal(n, err)
	}
	if len(r.binaries) != 4 || len(r.binaries[0]) != maxFrame+1 {
		t.Errorf("%d frames", len(r.binaries))
	}
}

// TestSizes verifies that the queue of terminal sizes returns only the last valid size, and ends when it is closed.
func TestSizes(t *testing.T) {
	q := newSizeQueue()
	for _, width := range []uint16{80, 100, 120} {
		q.push(remotecommand.TerminalSize{Width: width, Height: 24})
	}
	q.push(remotecommand.TerminalSize{Width: 0, Height: 24})
	if size := q.Next(); size == nil || size.Width != 120 {
		t.Errorf("size %+v", size)
	}
	q.close()
	q.close()
	q.push(remotecommand.TerminalSize{Width: 80, Height: 24})
	if size := q.Next(); size != nil {
		t.Errorf("size %+v after the end", size)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add([]byte("text \xf0\x9f\x98\x80"), 2)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		r := &recorder{}
		o := &output{record: unrecorded, stream: r, channel: channelOutput}
		for piece := in; len(piece) > 0; {
			n := min(max(size, 1), len(piece))
			_, _ = o.Write(piece[:n])
			piece = piece[n:]
		}
		o.flush()
		if got := r.shown(t); utf8.Valid(in) && got != string(in) {
			t.Errorf("%q becomes %q", in, got)
		}
	})
}

func unrecorded([]byte) error { return nil }
