// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminalsessions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/utf8tail"
)

// readBytes is the number of bytes of a recording that are read at a time.
const readBytes = 32 << 10

// encode returns metadata as JSON, with content in its field "recording". Metadata.Recording must be empty. The memory
// of the JSON is charged to account.
func encode(
	content io.Reader, metadata dashboardv1alpha1.TerminalRecording, account *budget.Account,
) (envelope.Pieces, error) {
	whole, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("encoding a recording: %w", err)
	}
	begin, end, ok := strings.Cut(string(whole), `"recording":""`)
	if !ok {
		return nil, errors.New("the recording already has a text")
	}
	out := envelope.NewBuffer(account)
	if _, err := io.WriteString(out, begin+`"recording":"`); err != nil {
		return nil, err //nolint:wrapcheck // it has its code
	}
	if err := escape(out, content); err != nil {
		return nil, err
	}
	_, err = io.WriteString(out, `"`+end)
	return out.Pieces(), err //nolint:wrapcheck // as above
}

// escape writes text as the content of a JSON string. If a read ends within a UTF-8 character, escape encodes this
// character after the next read.
func escape(to io.Writer, text io.Reader) error {
	piece, rest := make([]byte, readBytes), 0
	for {
		n, err := io.ReadFull(text, piece[rest:])
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err //nolint:wrapcheck // as it is
		}
		whole := piece[:rest+n]
		if rest = 0; !last {
			rest = utf8tail.Incomplete(whole)
		}
		whole, tail := whole[:len(whole)-rest], whole[len(whole)-rest:]
		quoted, err := json.Marshal(string(whole))
		if err != nil {
			return fmt.Errorf("encoding a recording: %w", err)
		}
		if _, err := to.Write(quoted[1 : len(quoted)-1]); err != nil || last {
			return err //nolint:wrapcheck // it has its code
		}
		copy(piece, bytes.Clone(tail))
	}
}
