// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// costOfStruct is the approximate memory of a list element in a discovery document. costOfString is the memory of a
	// string in a list. costOfField is the memory of a field or a map entry. All are in bytes.
	costOfStruct = 512
	costOfString = 32
	costOfField  = 64
)

// elementRoundTripper charges the memory of the decoded list elements of a response to the budget.Account in the
// context of the request. A charge for the bytes alone would not be sufficient, because two bytes of JSON may become a
// large struct. elementRoundTripper accepts only JSON responses.
type elementRoundTripper struct {
	next http.RoundTripper
}

// RoundTrip sends the request. Reads of the response body return budget.ErrExceeded if the account refuses the charge.
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
	// arrays is the stack of the arrays and objects that are open at the current position. Its elements are true for
	// arrays.
	arrays          []bool
	quoted, escaped bool
	// next is true if the next value is an element of an array.
	next bool
}

// weigh returns the memory of the list elements and fields that begin in the text, in bytes. The text is the next part
// of the document. weigh returns false if the document is nested more than maxDepth levels deep.
func (e *elementScanner) weigh(text []byte) (cost int64, fits bool) {
	for _, b := range text {
		if e.quoted {
			e.quoted, e.escaped = e.escaped || b != '"', !e.escaped && b == '\\'
			continue
		}
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		case ',':
			e.next = e.inArray()
			if !e.next {
				cost += costOfField
			}
			continue
		case ']', '}':
			e.arrays, e.next = e.arrays[:max(len(e.arrays)-1, 0)], false
			continue
		}
		if e.next {
			cost += costOfElementBeginning(b)
			e.next = false
		}
		switch b {
		case '"':
			e.quoted = true
		case '[', '{':
			e.arrays, e.next = append(e.arrays, b == '['), b == '['
			if len(e.arrays) > maxDepth {
				return cost, false
			}
		}
	}
	return cost, true
}

func (e *elementScanner) inArray() bool { return len(e.arrays) > 0 && e.arrays[len(e.arrays)-1] }

// costOfElementBeginning returns the memory of a list element that begins with the byte. Each element that is not a
// string, even null, may be decoded to a struct.
func costOfElementBeginning(b byte) int64 {
	if b == '"' {
		return costOfString
	}
	return costOfStruct
}
