// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// progress prefixes every line with the time since the start. It prints the beginning of a line immediately, because
// the rest of the line may follow only after a long step.
type progress struct {
	out   io.Writer
	begun time.Time

	mu     sync.Mutex
	inLine bool
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, begun: time.Now()}
}

// Write implements io.Writer.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var stamped bytes.Buffer
	for line := range bytes.Lines(text) {
		if !p.inLine {
			fmt.Fprintf(&stamped, "[%4.0fs] ", time.Since(p.begun).Seconds())
		}
		stamped.Write(line)
		p.inLine = !bytes.HasSuffix(line, []byte("\n"))
	}
	if _, err := p.out.Write(stamped.Bytes()); err != nil {
		return 0, fmt.Errorf("print progress: %w", err)
	}
	return len(text), nil
}

func (p *progress) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p, format+"\n", args...)
}
