// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// costOfStruct is the approximate memory of a list element that is decoded to a struct, in bytes.
	costOfStruct = 512
	costOfString = 32
	// costOfField is the approximate memory of a struct field or a map entry in a decoded response, in bytes. For
	// cached API objects, costOfMember is used instead.
	costOfField = 64
)

// elementRoundTripper charges the memory of the decoded list elements of a response to the budget.Account in the
// context of the request. A charge for the bytes alone would not be sufficient, because two bytes of JSON may become a
// large struct. elementRoundTripper accepts only JSON responses.
type elementRoundTripper struct {
	next http.RoundTripper
}

// RoundTrip sends the request. Each Read of the response body counts the memory of the decoded list elements in the
// budget.Account of the request. If this memory exceeds a limit of the account, the Read returns budget.ErrExceeded.
func (w *elementRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	account, found := budget.AccountFrom(r.Context()), &elementScanner{}
	return countJSON(w.next, r, func(piece []byte) error {
		cost, fits := found.weigh(piece)
		if !fits {
			return ErrTooLarge
		}
		return account.Take(cost) //nolint:wrapcheck // the error is for the caller of the request
	})
}

// elementScanner estimates the memory of the list elements in a JSON document that it receives in several parts.
type elementScanner struct {
	// nesting has an element for each array or object that is open: true for an array, and false for an object.
	nesting         []bool
	quoted, escaped bool
	expectsElement  bool
}

// weigh returns the approximate memory that the next part of the document uses after decoding, in bytes. It returns
// false if the document is nested more than maxDepth levels deep.
func (e *elementScanner) weigh(part []byte) (cost int64, fits bool) {
	for _, b := range part {
		if e.quoted {
			e.quoted, e.escaped = e.escaped || b != '"', !e.escaped && b == '\\'
			continue
		}
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		case ',':
			e.expectsElement = e.inArray()
			if !e.expectsElement {
				cost += costOfField
			}
			continue
		case ']', '}':
			e.nesting, e.expectsElement = e.nesting[:max(len(e.nesting)-1, 0)], false
			continue
		}
		if e.expectsElement {
			cost += costOfListElement(b)
			e.expectsElement = false
		}
		switch b {
		case '"':
			e.quoted = true
		case '[', '{':
			e.nesting, e.expectsElement = append(e.nesting, b == '['), b == '['
			if len(e.nesting) > maxDepth {
				return cost, false
			}
		}
	}
	return cost, true
}

func (e *elementScanner) inArray() bool { return len(e.nesting) > 0 && e.nesting[len(e.nesting)-1] }

// costOfListElement returns the approximate memory of a decoded list element, in bytes. The first byte of its JSON
// shows whether the element is a string.
func costOfListElement(firstByte byte) int64 {
	if firstByte == '"' {
		return costOfString
	}
	return costOfStruct // Each other value, even null, may be decoded to a struct.
}
