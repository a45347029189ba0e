// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"bytes"
	"encoding/json"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/utf8tail"
)

// Values of the first byte of a binary message.
const (
	channelInput  = 0
	channelOutput = 1
	channelError  = 2
)

// maxFrame bounds the bytes of output in one frame.
const maxFrame = 32 << 10

// sender is the part of streams.Stream that sends messages.
type sender interface {
	SendText(data []byte) error
	SendBinary(data []byte) error
}

// output sends the output of a command to the client. In text frames, it replaces invalid UTF-8. If the bytes of a
// character are split over two writes, the frame of the second write contains the whole character.
type output struct {
	stream  sender
	channel byte
	binary  bool
	// record is called with the output before it is sent. If it returns an error, the output is not sent.
	record func(p []byte) error

	// rest contains the bytes of an incomplete character at the end of the previous write.
	rest []byte
}

// Write implements io.Writer. It blocks while the client does not read.
func (o *output) Write(p []byte) (int, error) {
	for piece := p; len(piece) > 0; {
		n := min(len(piece), maxFrame)
		if err := o.send(piece[:n]); err != nil {
			return len(p) - len(piece), err
		}
		piece = piece[n:]
	}
	return len(p), nil
}

func (o *output) send(p []byte) error {
	if err := o.record(p); err != nil {
		return err
	}
	if o.binary {
		return o.stream.SendBinary(append([]byte{o.channel}, p...)) //nolint:wrapcheck // it is an end
	}
	whole := append(o.rest, p...) //nolint:gocritic // the rest is replaced below
	end := len(whole) - utf8tail.Incomplete(whole)
	o.rest = bytes.Clone(whole[end:])
	if end == 0 {
		return nil
	}
	return o.stream.SendText(encode(dashboardv1alpha1.TerminalFrame{ //nolint:wrapcheck // it is an end
		Type: frameOutput, Data: strings.ToValidUTF8(string(whole[:end]), "\uFFFD"),
	}))
}

// flush sends a replacement character if the output has ended with an incomplete character.
func (o *output) flush() {
	if len(o.rest) > 0 {
		_ = o.stream.SendText(encode(dashboardv1alpha1.TerminalFrame{Type: frameOutput, Data: "\uFFFD"}))
	}
}

// encode returns f as JSON, without escaping angle brackets.
func encode(f dashboardv1alpha1.TerminalFrame) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f); err != nil { // Impossible, because a frame contains only strings and numbers.
		return nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
