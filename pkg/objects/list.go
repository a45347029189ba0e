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

// Page is the metadata of a page of a list.
type Page struct {
	// Continue is the token of the next page. It is empty on the last page.
	Continue string

	count     int64
	remaining *int64
}

// Total returns the number of matching objects, or nil if the cluster did not return the number of remaining ones.
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

// ReadList reads a list of the cluster's API server object by object, and holds one of them at a time: a list may be
// much larger than its result. The account is charged for the object that is being read.
func ReadList(from io.Reader, r clusters.Resource, account *budget.Account, visit func(Object) error) (Page, error) {
	l := newList(from, r, account)
	defer l.bounded.release()
	err := l.read(map[string]func() error{"items": func() error {
		if err := l.expect(json.Delim('[')); err != nil {
			return err
		}
		return l.items(func(o Object) error {
			if err := o.prepare(r, IsSecret(r), nil); err != nil {
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

// maxObjectBytes bounds an object of a list. kube-apiserver stores no object larger than 1.5 MiB; other API servers
// might.
const maxObjectBytes = 8 << 20

// maxContinueBytes bounds the token of the next page, which is held until the response is sent. A longer token would
// not fit into the URL of a request.
const maxContinueBytes = 16 << 10

var (
	errTooLarge     = fmt.Errorf("a part of the list is larger than %d bytes", maxObjectBytes)
	errLongContinue = fmt.Errorf("the token of the next page is larger than %d bytes", maxContinueBytes)
)

const (
	// readBytes is the memory per byte of an object while it is being decoded and encoded.
	readBytes = 6
	// freeBytes is the size above which an object is charged. Most objects are smaller, and one small object at a time
	// has no effect.
	freeBytes = 32 << 10
)

// objectReader stops reading if a decoder would have to hold more than the bound of one object, or more than the
// account allows.
type objectReader struct {
	from    io.Reader
	account *budget.Account
	read    int64
	// consumed is the position of the decoder after the last object.
	consumed int64
	charged  int64
}

// Read returns an error if one object is too large.
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
	return n, err //nolint:wrapcheck // the decoder must know io.EOF
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

// list reads a list, or a table, member by member.
type list struct {
	decoder  *json.Decoder
	bounded  *objectReader
	resource clusters.Resource
	page     Page
	// complete is true once all items were read.
	complete bool
}

func newList(from io.Reader, r clusters.Resource, account *budget.Account) *list {
	bounded := &objectReader{from: from, account: account}
	return &list{decoder: json.NewDecoder(bounded), bounded: bounded, resource: r}
}

// read reads the members of the list. It calls the function of each member in members, reads the metadata, and skips
// all other members.
func (l *list) read(members map[string]func() error) error {
	if err := l.expect(json.Delim('{')); err != nil {
		return err
	}
	for l.decoder.More() {
		token, err := l.decoder.Token()
		if err != nil {
			return Unreadable(err)
		}
		name, _ := token.(string) // the names of members are strings
		if err := l.readMember(name, members[name]); err != nil {
			return err
		}
	}
	return l.expect(json.Delim('}'))
}

func (l *list) readMember(name string, read func() error) error {
	switch {
	case read != nil:
		return read()
	case name == "metadata":
		return l.readMetadata()
	default:
		return l.decode(new(json.RawMessage))
	}
}

// decode decodes the next value.
func (l *list) decode(into any) error {
	if err := l.decoder.Decode(into); err != nil {
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

// items visits the rest of an array of which the beginning was read. It holds one item at a time.
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
