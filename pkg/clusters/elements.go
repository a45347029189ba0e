// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// costOfStruct is the approximate memory of a list element in a discovery document. costOfString is the memory of a
	// string in a list. costOfField is the memory of a field or a map entry.
	costOfStruct = 512
	costOfString = 32
	costOfField  = 64
)

// elementRoundTripper charges the decoded size of list elements to the account of the request: two bytes of JSON may
// become a large struct. It accepts only JSON.
type elementRoundTripper struct {
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper. Reading the response body fails if the account has no room for its elements.
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

// elementScanner finds the elements of lists in JSON that arrives in pieces.
type elementScanner struct {
	arrays          []bool // true for each open value that is an array
	quoted, escaped bool
	// next is true if the next value is an element of an array.
	next bool
}

// weigh returns the cost of a part of the JSON. It returns false if the JSON is nested too deeply.
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

// costOfElementBeginning returns the cost of an element by its first byte. A null may become a struct.
func costOfElementBeginning(b byte) int64 {
	if b == '"' {
		return costOfString
	}
	return costOfStruct
}
