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
	// heldBytes is what an object takes that is held, beside its text.
	heldBytes = 128
	// decodedBytes is how many bytes of memory a byte of an object takes while it is decoded and encoded again.
	decodedBytes = 3
)

// encodedObject is an object of a list, ready to be sent.
type encodedObject struct {
	key     sortKey
	index   int
	encoded []byte
}

func (h encodedObject) bytes() int64 { return int64(len(h.encoded)) + h.key.bytes() + heldBytes }

// selection holds the objects of a list that a page may show, in the order of its view: all, or where the page ends somewhere, the first that
// were seen until there. What is counted is what was found.
type selection struct {
	view    view
	account *budget.Account

	found int
	// keyed is true once an object had the value that the order is by.
	keyed bool
	items []encodedObject
}

// most is how many objects the page and those before it have, 0 where all are needed.
func (s *selection) most() int {
	if s.view.limit == 0 {
		return 0
	}
	return s.view.offset + s.view.limit
}

// add looks at the next object of the list.
func (s *selection) add(o objects.Object) error {
	if s.view.search != "" {
		if ok, err := s.view.matches(o); err != nil || !ok {
			return err
		}
	}
	h := encodedObject{index: s.found}
	s.found++
	if s.view.order.isSet() {
		var err error
		if h.key, err = s.view.order.key(o); err != nil {
			return err
		}
		s.keyed = s.keyed || h.key.class != classMissing
	}
	full := s.most() > 0 && len(s.items) == s.most()
	if full && s.compare(h, s.items[0]) > 0 {
		return nil
	}
	encoded, err := o.Encode()
	if err != nil {
		return err
	}
	h.encoded = bytes.Clone(encoded) // without the room that encoding has made
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
	case s.most() > 0:
		heap.Push(s, h)
	default:
		s.items = append(s.items, h)
	}
	return nil
}

// compare is the order of the page. Objects with the same key stay in the order of the list.
func (s *selection) compare(a, b encodedObject) int {
	if c := s.view.order.compare(a.key, b.key); c != 0 {
		return c
	}
	return a.index - b.index
}

func (s *selection) sort() { slices.SortFunc(s.items, s.compare) }

// page leaves the objects of the page, and says where the next one begins.
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

// addMetrics puts what Pods use beside them.
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

// pieces are the objects as an array.
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

// Len, Less, Swap, Push and Pop implement heap.Interface, with the last of the page at the top.
func (s *selection) Len() int { return len(s.items) }

// Less says that an object stands behind another.
func (s *selection) Less(i, j int) bool { return s.compare(s.items[i], s.items[j]) > 0 }

// Swap exchanges two objects.
func (s *selection) Swap(i, j int) { s.items[i], s.items[j] = s.items[j], s.items[i] }

// Push adds an object at the end.
func (s *selection) Push(x any) {
	if h, ok := x.(encodedObject); ok {
		s.items = append(s.items, h)
	}
}

// Pop takes the last object away.
func (s *selection) Pop() any {
	last := s.items[len(s.items)-1]
	s.items = s.items[:len(s.items)-1]
	return last
}
