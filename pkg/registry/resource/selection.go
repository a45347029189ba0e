// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"container/heap"
	"encoding/json"
	"fmt"
	"slices"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
)

const (
	// heldBytes is the number of bytes of memory that an encodedObject needs in addition to its JSON and its key.
	heldBytes = 128
	// decodedBytes is the number of bytes of memory that are reserved for each byte of JSON while an object is decoded
	// and encoded again.
	decodedBytes = 3
)

// encodedObject is an object of a list in JSON, with its sort key and its index in the list.
type encodedObject struct {
	key     sortKey
	index   int
	encoded []byte
}

func (h encodedObject) bytes() int64 { return int64(len(h.encoded)) + h.key.bytes() + heldBytes }

// selection collects the objects of a list, and selects the objects of one page. If the page has no limit, items
// contains all objects. If the page has a limit, items is a heap with the objects of this page and of all pages before
// it.
type selection struct {
	view    view
	account *budget.Account

	found int
	// hasSortField is true if at least one object has the field by which objects are sorted.
	hasSortField bool
	items        []encodedObject
}

// maxItems returns the maximum number of objects in s.items, or 0 if the page has no limit.
func (s *selection) maxItems() int {
	if s.view.limit == 0 {
		return 0
	}
	// The objects of earlier pages are needed to find the first object of this page.
	return s.view.offset + s.view.limit
}

// add adds the next object of the list if it matches the search. It calls encode() to get the JSON of the object only
// if the object may be on the page.
func (s *selection) add(o objects.Object, encode func() ([]byte, error)) error {
	if s.view.search != "" {
		if ok, err := s.view.matches(o); err != nil || !ok {
			return err
		}
	}
	h := encodedObject{index: s.found}
	s.found++
	if s.view.order.isSet() {
		var err error
		if h.key, err = s.view.order.key(o, s.account); err != nil {
			return err
		}
		s.hasSortField = s.hasSortField || h.key.class != classMissing
	}
	full := s.maxItems() > 0 && len(s.items) == s.maxItems()
	if full && s.compare(h, s.items[0]) > 0 {
		return nil
	}
	encoded, err := encode()
	if err != nil {
		return err
	}
	h.encoded = bytes.Clone(encoded) // a copy without the spare capacity of the encoder
	if full {
		s.account.Give(s.items[0].bytes())
	}
	if err := s.account.Take(h.bytes()); err != nil {
		return err
	}
	switch {
	case full:
		s.items[0] = h
		heap.Fix(s, 0)
	case s.maxItems() > 0:
		heap.Push(s, h)
	default:
		s.items = append(s.items, h)
	}
	return nil
}

// compare returns a negative number if a precedes b on the page, and a positive number if b precedes a. If the sort
// keys are equal, it compares the indexes of a and b in the list.
func (s *selection) compare(a, b encodedObject) int {
	if c := s.view.order.compare(a.key, b.key); c != 0 {
		return c
	}
	return a.index - b.index
}

func (s *selection) sort() { slices.SortFunc(s.items, s.compare) }

// page removes the objects before and after the page, and sets the total and the token of the next page in meta.
func (s *selection) page(meta *dashboardv1alpha1.Meta) error {
	s.sort()
	meta.Total = new(int64(s.found))
	begin, end := min(s.view.offset, len(s.items)), len(s.items)
	if s.view.limit > 0 && s.found-begin > s.view.limit {
		end = begin + s.view.limit
		var err error
		if meta.Continue, err = s.view.next(end); err != nil {
			return err
		}
	}
	s.items = s.items[begin:end]
	return nil
}

// addMetrics adds the metrics of each Pod to its JSON.
func (s *selection) addMetrics(metrics *podmetrics.Metrics) error {
	var size int64
	for _, h := range s.items {
		size += int64(len(h.encoded)) * decodedBytes
	}
	if err := s.account.Take(size); err != nil {
		return err
	}
	pods := make([]objects.Object, len(s.items))
	for i, h := range s.items {
		if err := json.Unmarshal(h.encoded, &pods[i]); err != nil {
			return fmt.Errorf("reading a pod: %w", err)
		}
	}
	if err := metrics.AddTo(pods...); err != nil {
		return err
	}
	for i := range s.items {
		var err error
		if s.items[i].encoded, err = pods[i].Encode(); err != nil {
			return err
		}
	}
	return nil
}

// pieces returns the objects as a JSON array.
func (s *selection) pieces() envelope.Pieces {
	out := make(envelope.Pieces, 0, 2*len(s.items)+2)
	out = append(out, []byte{'['})
	for i, h := range s.items {
		if i > 0 {
			out = append(out, []byte{','})
		}
		out = append(out, h.encoded)
	}
	return append(out, []byte{']'})
}

// Len implements heap.Interface.
func (s *selection) Len() int { return len(s.items) }

// Less implements heap.Interface. It reverses the sort order, so that the root of the heap is the last object.
func (s *selection) Less(i, j int) bool { return s.compare(s.items[i], s.items[j]) > 0 }

// Swap implements heap.Interface.
func (s *selection) Swap(i, j int) { s.items[i], s.items[j] = s.items[j], s.items[i] }

// Push implements heap.Interface.
func (s *selection) Push(x any) {
	if h, ok := x.(encodedObject); ok {
		s.items = append(s.items, h)
	}
}

// Pop implements heap.Interface.
func (s *selection) Pop() any {
	last := s.items[len(s.items)-1]
	s.items = s.items[:len(s.items)-1]
	return last
}
