// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// Page is the metadata of one page of a list.
type Page struct {
	// Continue is the token that requests the next page. It is empty on the last page.
	Continue string

	count     int64
	remaining *int64
}

// Total returns the number of objects on this page and all following pages, or nil if the API server did not return
// remainingItemCount.
func (p Page) Total() *int64 {
	switch {
	case p.Continue == "":
		return &p.count
	case p.remaining != nil:
		return new(p.count + *p.remaining)
	default:
		return nil
	}
}

// ReadList reads a list of the resource r, converts each object like Decode, and calls visit() with the object. It
// holds only one object at a time in memory, because a list may be very large. The memory of this object is charged to
// the account. ReadList returns an error if the response is not a complete list, or if visit() returns an error.
func ReadList(from io.Reader, r clusters.Resource, account *budget.Account, visit func(Object) error) (Page, error) {
	l := newList(from, r, account)
	defer l.bounded.release()
	err := l.read(map[string]func() error{"items": func() error {
		if err := l.expect(json.Delim('[')); err != nil {
			return err
		}
		return l.items(func(o Object) error {
			if err := o.prepareForUser(r, IsSecret(r), nil); err != nil {
				return err
			}
			return visit(o)
		})
	}})
	if err != nil {
		return Page{}, err
	}
	if !l.complete {
		return Page{}, Unreadable(fmt.Errorf("the list of %s has no items", r.GroupVersionResource.Resource))
	}
	return l.page, nil
}

// maxObjectBytes bounds the bytes of one object in a list. By default, etcd stores no object larger than 1.5 MiB, but
// API servers with another storage may return larger objects.
const maxObjectBytes = 8 << 20

// maxContinueBytes bounds the bytes of the continue token, which is held in memory until the response is sent. A longer
// token would not fit into the URL of a request.
const maxContinueBytes = 16 << 10

var (
	errTooLarge     = fmt.Errorf("a part of the list is larger than %d bytes", maxObjectBytes)
	errLongContinue = fmt.Errorf("the token of the next page is larger than %d bytes", maxContinueBytes)
)

const (
	// readBytes is the number of bytes of memory that are charged for each byte of JSON. The memory is needed while an
	// object is decoded and encoded.
	readBytes = 6
	// freeBytes is the maximum size of an object for which no memory is charged, in bytes of JSON. Most objects are
	// smaller, and a request holds only one object at a time.
	freeBytes = 32 << 10
)

// objectReader reads the JSON of a list for a json.Decoder. It charges the memory that this decoder needs for a large
// object to a budget.Account.
type objectReader struct {
	from    io.Reader
	account *budget.Account
	// read is the number of bytes that were read from the list.
	read int64
	// consumed is the offset of the end of the last decoded object, in bytes.
	consumed int64
	// charged is the number of bytes that were charged to account.
	charged int64
}

// Read implements io.Reader. It returns an error if the current object is larger than maxObjectBytes, or if the
// budget.Account of r does not allow further bytes.
func (r *objectReader) Read(p []byte) (int, error) {
	pending := r.read - r.consumed
	if pending > maxObjectBytes {
		return 0, errTooLarge
	}
	if pending > freeBytes {
		if err := r.charge(pending * readBytes); err != nil {
			return 0, err
		}
	}
	n, err := r.from.Read(p)
	r.read += int64(n)
	return n, err //nolint:wrapcheck // the decoder compares the error with io.EOF
}

func (r *objectReader) charge(bytes int64) error {
	if bytes <= r.charged {
		return nil
	}
	if err := r.account.Take(bytes - r.charged); err != nil {
		return fmt.Errorf("reading an object of a list: %w", err)
	}
	r.charged = bytes
	return nil
}

func (r *objectReader) release() {
	r.account.Give(r.charged)
	r.charged = 0
}

// list decodes a List or a Table, one JSON member at a time.
type list struct {
	decoder  *json.Decoder
	bounded  *objectReader
	resource clusters.Resource
	page     Page
	// complete is true once all items of a List, or all rows of a Table, were visited.
	complete bool
}

func newList(from io.Reader, r clusters.Resource, account *budget.Account) *list {
	bounded := &objectReader{from: from, account: account}
	return &list{decoder: json.NewDecoder(bounded), bounded: bounded, resource: r}
}

// read decodes a List or a Table, field by field. decoders maps the name of a field to the function that decodes its
// value. read itself decodes the metadata of the list into l.page. It skips all other fields.
func (l *list) read(decoders map[string]func() error) error {
	if err := l.expect(json.Delim('{')); err != nil {
		return err
	}
	for l.decoder.More() {
		token, err := l.decoder.Token()
		if err != nil {
			return Unreadable(err)
		}
		name, _ := token.(string) // the names of members are strings
		if err := l.readMember(name, decoders[name]); err != nil {
			return err
		}
	}
	return l.expect(json.Delim('}'))
}

func (l *list) readMember(name string, decoder func() error) error {
	switch {
	case decoder != nil:
		return decoder()
	case name == "metadata":
		return l.readMetadata()
	default:
		return l.decode(new(json.RawMessage))
	}
}

// decode decodes the next JSON value into target, which must be a pointer.
func (l *list) decode(target any) error {
	if err := l.decoder.Decode(target); err != nil {
		return Unreadable(err)
	}
	l.bounded.consumed = l.decoder.InputOffset()
	return nil
}

func (l *list) expect(delimiter json.Delim) error {
	token, err := l.decoder.Token()
	if err != nil {
		return Unreadable(err)
	}
	if token != delimiter {
		return Unreadable(errors.New("it is not a list"))
	}
	return nil
}

func (l *list) readMetadata() error {
	var metadata struct {
		Continue           string `json:"continue"`
		RemainingItemCount *int64 `json:"remainingItemCount"`
	}
	if err := l.decoder.Decode(&metadata); err != nil {
		return Unreadable(err)
	}
	if len(metadata.Continue) > maxContinueBytes {
		return Unreadable(errLongContinue)
	}
	l.page.Continue, l.page.remaining = metadata.Continue, metadata.RemainingItemCount
	return nil
}

// items reads the elements of a JSON array, and calls visit with each. The caller must have read the opening bracket of
// the array. Only one element is in memory at a time.
func (l *list) items(visit func(Object) error) error {
	for l.decoder.More() {
		var o Object
		if err := l.decode(&o); err != nil {
			return err
		}
		if err := visit(o); err != nil {
			return err
		}
		l.bounded.release()
		l.page.count++
	}
	l.complete = true
	return l.expect(json.Delim(']'))
}
