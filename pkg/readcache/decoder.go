// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kubevision-io/kubevision/pkg/clusters/pacing"
	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// maxEventBytes bounds the size of a watch event, and of an object in a list, in bytes. It is several times the
	// default limit of etcd for an object (1.5 MiB), so that it does not affect usual objects.
	maxEventBytes = 8 << 20
	// maxControlBytes bounds the size of a watch event that is a bookmark or an error, in bytes. It also bounds the
	// total length of the blank lines between two events.
	maxControlBytes = 64 << 10
	// readBytes is the size of the read buffer of a watch, in bytes.
	readBytes = 64 << 10
	// maxKeptBuffer is the size in bytes up to which the buffer for an event is reused for the next event.
	maxKeptBuffer = 256 << 10
)

// errErrorEvent means that a watch has ended because the API server has sent an error event. For example, the resource
// version of the watch is too old.
var errErrorEvent = errors.New("the API server has sent an error event")

var errTooLarge = fmt.Errorf("an object is larger than %d bytes", maxEventBytes)

// decoder decodes the events of a watch. API servers send one event per line.
type decoder struct {
	kind schema.GroupVersionKind
	// keep is called with each created or updated object. It returns the object to store, which may be an equal object
	// that is already stored. An error of keep ends the watch.
	keep func(*Object) (*Object, error)
	// afterEvent is called after an event was decoded, unless it is an error event.
	afterEvent func()
	// closed is called when the watch ends. The error is the reason for the end.
	closed func(error)
	// countMemory adds a number of bytes, which may be negative, to the memory of the resource. It returns an error if
	// the memory is not available.
	countMemory func(bytes int64) error

	// turn limits the processor time for the events. It may be nil.
	turn *pacing.Turn

	body   io.ReadCloser
	lines  *bufio.Reader
	buffer []byte
}

var _ watch.Decoder = &decoder{}

func newDecoder(body io.ReadCloser, kind schema.GroupVersionKind) *decoder {
	return &decoder{
		kind: kind, body: body, lines: bufio.NewReaderSize(body, readBytes),
		countMemory: func(int64) error { return nil },
	}
}

// Decode implements watch.Decoder. It returns the next event.
func (d *decoder) Decode() (watch.EventType, runtime.Object, error) {
	event, object, err := d.inTurn()
	if err != nil {
		d.release()
		d.closed(err)
		return "", nil, err
	}
	if event == watch.Error {
		d.closed(errErrorEvent)
	} else {
		d.afterEvent()
	}
	return event, object, nil
}

// inTurn decodes the next event. It first waits if the cluster has exceeded the limit for processor time.
func (d *decoder) inTurn() (watch.EventType, runtime.Object, error) {
	if err := d.turn.Enter(); err != nil {
		return "", nil, io.ErrUnexpectedEOF // as if the connection had ended
	}
	defer d.turn.Leave() // before the Reflector stores the event, because this may block
	return d.next()
}

// release frees the buffer.
func (d *decoder) release() {
	_ = d.countMemory(-int64(cap(d.buffer))) // releasing memory cannot fail
	d.buffer = nil
}

// Close implements watch.Decoder. It ends the watch.
func (d *decoder) Close() {
	d.closed(io.EOF)
	_ = d.body.Close() // the body may contain unread events
}

func (d *decoder) next() (watch.EventType, runtime.Object, error) {
	line, err := d.line()
	if err != nil {
		return "", nil, err
	}
	var event watch.EventType
	var text []byte
	var o *Object
	s := rawjson.NewScanner(line)
	err = s.Members(func(key rawjson.Quoted) error {
		begin := s.Pos()
		switch {
		case key.Is("type"):
			name, err := s.Text()
			event = watch.EventType(name)
			return err
		case key.Is("object") && carries(event): // API servers write the type first
			var err error
			o, err = scanObject(s, d.kind)
			return err
		case key.Is("object"):
			err := s.Value()
			text = s.Since(begin)
			return err
		default:
			return s.Value()
		}
	})
	if err == nil {
		err = s.End()
	}
	if err == nil && o == nil && carries(event) {
		o, err = parse(text, d.kind)
	}
	switch {
	case err != nil:
		return "", nil, err
	case o == nil && len(line) > maxControlBytes:
		return "", nil, errTooLarge
	case o == nil:
		return d.control(event, text)
	case event != watch.Deleted:
		o, err = d.keep(o)
	}
	return event, o, err
}

// carries returns true for event types with an object of the watched resource: ADDED, MODIFIED and DELETED.
func carries(event watch.EventType) bool {
	return event == watch.Added || event == watch.Modified || event == watch.Deleted
}

// control returns a bookmark or an error event. It decodes only the fields that a Reflector uses, because the whole
// decoded object could use more memory than its JSON.
func (*decoder) control(event watch.EventType, text []byte) (watch.EventType, runtime.Object, error) {
	switch event {
	case watch.Error:
		return event, &metav1.Status{
			Status: metav1.StatusFailure, Code: codeOf(text), Message: textAt(text, "message"),
			Reason: metav1.StatusReason(textAt(text, "reason")),
		}, nil
	case watch.Bookmark:
		version := versionOf(text)
		if len(version) > maxVersion {
			return "", nil, errLongVersion
		}
		return event, &Object{ResourceVersion: version}, nil
	default:
		return "", nil, errors.New("the API server has sent an event of an unknown type")
	}
}

// codeOf returns the code in the JSON of a Status, or 500 if there is none.
func codeOf(status []byte) int32 {
	raw, _ := rawjson.Lookup(status, "code")
	code, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		return http.StatusInternalServerError
	}
	return int32(code)
}

// textAt returns the string at path in the JSON of an object, or an empty string.
func textAt(object []byte, path ...string) string {
	raw, ok := rawjson.Lookup(object, path...)
	if !ok {
		return ""
	}
	text, err := rawjson.NewScanner(raw).Text()
	if err != nil {
		return ""
	}
	return text
}

// line returns the next non-empty line. The bytes remain valid until the next call. API servers send no blank lines.
// Therefore, more than maxControlBytes of blank lines cause the error errTooLarge.
func (d *decoder) line() ([]byte, error) {
	if d.buffer = d.buffer[:0]; cap(d.buffer) > maxKeptBuffer {
		d.release()
	}
	for blank := 0; blank <= maxControlBytes; {
		part, err := d.lines.ReadSlice('\n')
		if len(d.buffer)+len(part) > maxEventBytes {
			return nil, errTooLarge
		}
		switch {
		case err == nil && len(d.buffer) == 0:
			if len(bytes.TrimSpace(part)) > 0 {
				return part, nil
			}
			blank += len(part)
			continue
		case err == nil:
			if err := d.grow(len(part)); err != nil {
				return nil, err
			}
			d.buffer = append(d.buffer, part...)
			return d.buffer, nil
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			// After io.EOF and io.ErrUnexpectedEOF, a Reflector watches again. After other errors, it lists first.
			return nil, io.ErrUnexpectedEOF
		}
		if err := d.grow(len(part)); err != nil {
			return nil, err
		}
		d.buffer = append(d.buffer, part...)
	}
	return nil, errTooLarge
}

// grow enlarges the buffer if it has no room for the given number of further bytes. It returns an error if the memory
// for the larger buffer is not available.
func (d *decoder) grow(bytes int) error {
	if cap(d.buffer)-len(d.buffer) >= bytes {
		return nil
	}
	size := max(len(d.buffer)+bytes, min(2*cap(d.buffer), maxEventBytes)) //nolint:mnd // twice as much
	if err := d.countMemory(int64(size - cap(d.buffer))); err != nil {
		return err
	}
	d.buffer = append(make([]byte, 0, size), d.buffer...)
	return nil
}
