// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recording stores recordings of terminal sessions in a directory or an S3 bucket. Several replicas may share
// the directory or the bucket. A recording is a file in the format of asciinema, version 2. It can be encrypted.
package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/utf8tail"
)

const (
	// MaxFileBytes bounds the size of a file, in bytes. A longer terminal session continues in another file.
	MaxFileBytes = 16 << 20
	// MaxHeaderBytes bounds the size of the first line of a file, in bytes.
	MaxHeaderBytes = 32 << 10

	// fullBytes is the size of a file at which the recording continues in another file, in bytes. fullBytes is smaller
	// than MaxFileBytes, because the size of a file may exceed fullBytes after the last write.
	fullBytes = MaxFileBytes - 1<<20
	// flushBytes is a threshold in bytes for a recording in a directory. When the total size of the pending events
	// reaches flushBytes, these events are written to the file.
	flushBytes = 32 << 10
	// flushInterval is the time after which the pending events of a recording in a directory are written to the file. A
	// process that is killed loses its pending events.
	flushInterval = time.Second
)

var (
	// ErrFull is returned if one recording, or all recordings together, exceed their size limit.
	ErrFull = errors.New("there is no room for the recording")
	// ErrNotFound is returned if there is no recording with the ID.
	ErrNotFound = errors.New("there is no such recording")
	// ErrUnreadable is returned for a recording that is damaged, or encrypted with a key that is not configured.
	ErrUnreadable = errors.New("the recording is damaged, or its key is not known")

	errClosed = errors.New("the recording has ended")
)

// Terminal describes a terminal session. It is part of the first line of its recording.
type Terminal struct {
	User      string   `json:"user"`
	Cluster   string   `json:"cluster"`
	Namespace string   `json:"namespace"`
	Pod       string   `json:"pod"`
	Container string   `json:"container,omitempty"`
	Verb      string   `json:"verb"`
	Command   []string `json:"command,omitempty"`
	// Part is the number of this file of the terminal session. The first file has the number 1.
	Part int `json:"part"`
}

// header is the first line of a recording, in the format of asciinema.
type header struct {
	Version   int    `json:"version"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Timestamp int64  `json:"timestamp"`
	Title     string `json:"title,omitempty"`
	// KubeVision is a field that describes the terminal session. Programs that play asciinema recordings ignore this
	// field.
	KubeVision Terminal `json:"kubevision"`
}

// Event codes of asciinema.
const (
	eventOutput = "o"
	eventInput  = "i"
	eventResize = "r"
	eventMarker = "m"
)

const (
	// defaultWidth is the recorded width of a terminal, in columns, until the client sends the size.
	defaultWidth = 80
	// defaultHeight is the recorded height of a terminal, in rows, until the client sends the size.
	defaultHeight = 24
)

// Recording writes the recording of one terminal session.
type Recording struct {
	store    *Store
	terminal Terminal
	settings settings

	mu      sync.Mutex
	began   time.Time
	file    file
	to      chunkWriter
	pending bytes.Buffer
	size    int64
	err     error
	timer   *time.Timer
	failed  func(error)
	// rests contains incomplete UTF-8 characters. The key is the event code. Each value contains the first bytes of a
	// character whose other bytes have not arrived.
	rests map[string][]byte
}

// Output records bytes that the terminal has displayed.
func (r *Recording) Output(p []byte) error { return r.text(eventOutput, p) }

// Input records bytes that the user has typed.
func (r *Recording) Input(p []byte) error { return r.text(eventInput, p) }

// Resize records a new size of the terminal.
func (r *Recording) Resize(columns, rows uint16) error {
	return r.add(eventResize, fmt.Sprintf("%dx%d", columns, rows))
}

// Mark records a marker. Programs that play asciinema recordings show it as a bookmark with the text.
func (r *Recording) Mark(text string) error { return r.add(eventMarker, text) }

// text records bytes as an event with the given event code of asciinema. It replaces invalid UTF-8. An incomplete
// character at the end is recorded with the next event of this code.
func (r *Recording) text(code string, p []byte) error {
	r.mu.Lock()
	whole := append(r.rests[code], p...) //nolint:gocritic // the rest is replaced below
	end := len(whole) - utf8tail.Incomplete(whole)
	r.rests[code] = bytes.Clone(whole[end:])
	r.mu.Unlock()
	if end == 0 {
		return nil
	}
	return r.add(code, strings.ToValidUTF8(string(whole[:end]), "\uFFFD"))
}

// add appends an event to the pending events. If the pending events have at least settings.flushBytes bytes, add writes
// them to the storage. It returns an error if this write fails, if an earlier write has failed, or if the recording is
// closed.
func (r *Recording) add(code, text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	at := math.Round(time.Since(r.began).Seconds()*1e6) / 1e6 //nolint:mnd // microseconds
	encoder := json.NewEncoder(&r.pending)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode([]any{at, code, text}); err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	if r.pending.Len() >= r.settings.flushBytes {
		return r.flush()
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(r.settings.flushInterval, r.flushLater)
	}
	return nil
}

func (r *Recording) flushLater() {
	r.mu.Lock()
	r.timer = nil
	err, failed := r.err, r.failed
	if err == nil {
		err = r.flush()
	}
	r.mu.Unlock()
	if err != nil && !errors.Is(err, errClosed) && failed != nil {
		failed(err)
	}
}

// begin creates a file and writes its first line. The caller must hold the lock, or have the only reference.
func (r *Recording) begin() error {
	now := time.Now()
	r.terminal.Part++
	first, err := json.Marshal(header{
		Version: 2, Width: defaultWidth, Height: defaultHeight, Timestamp: now.Unix(), KubeVision: r.terminal,
	})
	if err != nil {
		return fmt.Errorf("encoding the header of a recording: %w", err)
	}
	if len(first) > MaxHeaderBytes {
		return fmt.Errorf("the header of a recording is too large: %d bytes", len(first))
	}
	if err := r.store.take(int64(len(first))); err != nil {
		return err
	}
	id := newID(now)
	made, err := r.store.files.create(id)
	if err != nil {
		return err //nolint:wrapcheck // as it is
	}
	var to chunkWriter = plain{made}
	if keys := r.store.options.Keys; len(keys) > 0 {
		to, err = newSealed(made, keys[0], id)
	}
	if err == nil {
		err = to.write(append(first, '\n'), false)
	}
	if err != nil {
		return fmt.Errorf("writing a recording: %w", errors.Join(err, made.discard()))
	}
	r.file, r.to, r.began, r.size = made, to, now, int64(len(first))
	return nil
}

// end marks the file as complete and closes it.
func (r *Recording) end() error {
	return errors.Join(r.to.write(nil, true), r.file.finish())
}

// flush writes the pending events to the file. If the file is then full, it begins another one. The caller must hold
// the lock.
func (r *Recording) flush() error {
	if r.err != nil {
		return r.err
	}
	n := int64(r.pending.Len())
	if r.err = r.store.take(n); r.err != nil {
		return r.err
	}
	if err := r.to.write(r.pending.Bytes(), false); err != nil {
		r.err = fmt.Errorf("writing a recording: %w", err)
		return r.err
	}
	r.pending.Reset()
	if r.size += n; r.size >= fullBytes {
		r.err = errors.Join(r.end(), r.begin())
	}
	return r.err
}

// OnFailure sets a function that is called when pending events cannot be written in the background. The function may
// also be called with an error that a method of the Recording has already returned.
func (r *Recording) OnFailure(failed func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = failed
}

// Close writes the pending events. If this succeeds, it marks the recording as complete.
func (r *Recording) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	if errors.Is(r.err, errClosed) {
		return nil
	}
	err := r.flush()
	r.err = errClosed
	if err != nil { // end would mark the recording as complete
		return errors.Join(err, r.file.finish())
	}
	return r.end()
}

// chunkWriter writes a recording in chunks.
type chunkWriter interface {
	// write writes the next chunk, which may be empty. isLast must be true only for the chunk that ends the recording.
	write(chunk []byte, isLast bool) error
}

// plain writes a recording without encryption. It implements chunkWriter.
type plain struct{ to io.Writer }

func (w plain) write(chunk []byte, _ bool) error {
	if len(chunk) == 0 {
		return nil
	}
	_, err := w.to.Write(chunk)
	return err //nolint:wrapcheck // the caller wraps it
}
