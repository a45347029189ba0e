// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// maxLine bounds the bytes of a line. Container runtimes split lines at the same length.
const maxLine = 16 << 10

// maxStamp bounds the bytes of the timestamp at the beginning of a line, including the space after it.
const maxStamp = 64

// Line is a line of a log.
type Line struct {
	Pod, Container string
	// Time is the timestamp at which the line was written, as text from the API server.
	Time string
	// Text is the line without its line feed, as valid UTF-8. It has at most maxLine bytes.
	Text string
	// Cut is true if the line was truncated.
	Cut bool

	at time.Time
}

// lineReader reads the lines of a log that was requested with timestamps.
type lineReader struct{ buffered *bufio.Reader }

func newLineReader(from io.Reader) *lineReader {
	return &lineReader{bufio.NewReaderSize(from, maxLine+maxStamp)}
}

// next returns the next line. It reads at most maxLine+maxStamp bytes of a line into memory, and skips the rest of the
// line. It returns io.EOF after the last line. The last line may lack its line feed.
func (l *lineReader) next() (Line, error) {
	raw, err := l.buffered.ReadSlice('\n')
	cut := errors.Is(err, bufio.ErrBufferFull)
	if err != nil && !cut && len(raw) == 0 {
		return Line{}, err //nolint:wrapcheck // io.EOF must not be wrapped
	}
	line := parseLine(bytes.TrimSuffix(raw, []byte("\n")))
	for errors.Is(err, bufio.ErrBufferFull) { // skip the rest of the line
		_, err = l.buffered.ReadSlice('\n')
	}
	line.Cut = line.Cut || cut
	return line, nil
}

func parseLine(raw []byte) Line {
	stamp, text, found := bytes.Cut(raw, []byte(" "))
	line := Line{}
	if at, err := time.Parse(time.RFC3339Nano, string(stamp[:min(len(stamp), maxStamp)])); err == nil {
		line.at, line.Time = at, string(stamp)
	} else {
		text, found = raw, true
	}
	if !found {
		return line
	}
	if len(text) > maxLine {
		line.Cut = true
		text = text[:maxLine]
		for i := 0; i < utf8.UTFMax && len(text) > 0 && !lastRuneComplete(text); i++ {
			text = text[:len(text)-1]
		}
	}
	line.Text = strings.ToValidUTF8(string(text), "\uFFFD")
	return line
}

// lastRuneComplete returns false if text ends within a UTF-8 sequence.
func lastRuneComplete(text []byte) bool {
	r, size := utf8.DecodeLastRune(text)
	return r != utf8.RuneError || size != 1
}
