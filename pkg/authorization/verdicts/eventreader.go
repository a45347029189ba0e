// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/watch"
)

const (
	// maxEventBytes bounds the size of an event or a list, in bytes. An event contains the metadata of one object. A
	// list also contains only one object, because it is requested with the limit 1. The annotations are the largest
	// part, with at most 256 KiB.
	maxEventBytes = 512 << 10
	// readerBytes is the size of the read buffer of an eventReader, in bytes.
	readerBytes = 4 << 10
	// maxTextBytes is the maximum length of an event type or a resource version, in bytes. Longer strings in an event
	// are not needed, and the eventReader skips them.
	maxTextBytes = 64
)

var errEvent = errors.New("an event of a watch cannot be read")

// event contains the type of a watch event and the resource version of its object.
type event struct {
	eventType watch.EventType
	version   string
}

// eventReader reads the type and the resource version of watch events. It skips everything else, so that it uses little
// memory, regardless of the events that a member cluster sends.
type eventReader struct {
	in *bufio.Reader
	// left is the number of bytes that may still be read from the current event, object or list.
	left int
	text [maxTextBytes]byte
}

func newEventReader(from io.Reader) *eventReader {
	return &eventReader{in: bufio.NewReaderSize(from, readerBytes)}
}

// next returns the next event. It returns io.EOF if the watch has ended between two events, and errEvent if an event is
// invalid or larger than maxEventBytes.
func (r *eventReader) next() (event, error) {
	r.left = maxEventBytes
	if err := r.awaitEvent(); err != nil {
		return event{}, err
	}
	var out event
	err := r.object(func(name string) (err error) {
		switch name {
		case "type":
			var text string
			text, err = r.readString()
			out.eventType = watch.EventType(text)
		case "object":
			out.version, err = r.versionOfObject()
		default:
			err = r.skip()
		}
		return err
	})
	if err != nil {
		return event{}, fmt.Errorf("%w: %w", errEvent, err)
	}
	return out, nil
}

// version reads an object or a list, and returns its resource version.
func (r *eventReader) version() (string, error) {
	r.left = maxEventBytes
	version, err := r.versionOfObject()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errEvent, err)
	}
	return version, nil
}

// awaitEvent waits for the first byte of the next event, and does not consume it.
func (r *eventReader) awaitEvent() error {
	if _, err := r.token(); err != nil {
		return err
	}
	return r.unread()
}

func (r *eventReader) versionOfObject() (version string, err error) {
	err = r.object(func(name string) error {
		if name != "metadata" {
			return r.skip()
		}
		return r.object(func(name string) (err error) {
			if name != "resourceVersion" {
				return r.skip()
			}
			version, err = r.readString()
			return err
		})
	})
	return version, err
}

// object reads a JSON object. It passes each name to the given function, which must read the value.
func (r *eventReader) object(visit func(name string) error) error {
	if err := r.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := r.token()
		switch {
		case err != nil:
			return err
		case first && c == '}':
			return nil
		case c != '"':
			return errEvent
		}
		name, err := r.rest()
		if err == nil {
			err = r.expect(':')
		}
		if err == nil {
			err = visit(name)
		}
		if err != nil {
			return err
		}
		if c, err = r.token(); err != nil || c == '}' {
			return err
		}
		if c != ',' {
			return errEvent
		}
	}
}

// skip reads a value and ignores it.
func (r *eventReader) skip() error {
	for depth := 0; ; {
		c, err := r.token()
		switch {
		case err != nil:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		case c == '"':
			_, err = r.rest()
		case c == ',', c == ':':
			if depth == 0 {
				err = errEvent
			}
			if err == nil {
				continue
			}
		default:
			err = r.scalar()
		}
		switch {
		case err != nil:
			return err
		case depth < 0:
			return errEvent
		case depth == 0:
			return nil
		}
	}
}

// scalar reads the rest of a number or literal after its first byte.
func (r *eventReader) scalar() error {
	for {
		c, err := r.read()
		if err != nil {
			return err
		}
		switch c {
		case ',', ':', '}', ']', ' ', '\t', '\r', '\n':
			return r.unread()
		}
	}
}

// readString reads a JSON string and returns it. It returns an error if the next JSON value is not a string.
func (r *eventReader) readString() (string, error) {
	if err := r.expect('"'); err != nil {
		return "", err
	}
	return r.rest()
}

// rest reads the rest of a string after its opening quotation mark, and returns the string. For a string that contains
// escapes or is longer than maxTextBytes, it returns an empty string, because the eventReader needs no such string.
func (r *eventReader) rest() (string, error) {
	length, plain := 0, true
	for {
		c, err := r.read()
		switch {
		case err != nil:
			return "", err
		case c == '"' && plain:
			return string(r.text[:length]), nil
		case c == '"':
			return "", nil
		case c == '\\':
			plain = false
			if _, err := r.read(); err != nil {
				return "", err
			}
		case length == maxTextBytes:
			plain = false
		case plain:
			r.text[length] = c
			length++
		}
	}
}

func (r *eventReader) expect(want byte) error {
	c, err := r.token()
	if err == nil && c != want {
		return errEvent
	}
	return err
}

// token skips white space and returns the next byte.
func (r *eventReader) token() (byte, error) {
	for {
		c, err := r.read()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, nil
		}
	}
}

func (r *eventReader) read() (byte, error) {
	if r.left == 0 {
		return 0, errEvent
	}
	r.left--
	return r.in.ReadByte() //nolint:wrapcheck // io.EOF must not be wrapped
}

// unread makes the last byte available again.
func (r *eventReader) unread() error {
	r.left++
	return r.in.UnreadByte() //nolint:wrapcheck // it cannot fail after a byte was read
}
