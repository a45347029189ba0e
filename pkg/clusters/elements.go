// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// costOfStruct is about what an element of a list in a discovery document takes, with the list that grows,
	// costOfString a string in such a list, and costOfField a field, which may be an entry of a map.
	costOfStruct = 512
	costOfString = 32
	costOfField  = 64
)

// elementRoundTripper takes from the account of the request what the elements of a response take when they are decoded:
// two bytes may become a large struct. It passes on JSON only.
type elementRoundTripper struct {
	next http.RoundTripper
}

// RoundTrip sends the request.
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

// elementScanner finds the elements of lists in a text in JSON that comes in pieces.
type elementScanner struct {
	arrays          []bool // of each value that has begun, whether it is an array
	quoted, escaped bool
	// next is true where an element of an array is to begin.
	next bool
}

// weigh returns the cost of a piece. It is false where the text is nested too deep.
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

// costOfElementBeginning is the cost of an element that begins so. A null may be a struct.
func costOfElementBeginning(b byte) int64 {
	if b == '"' {
		return costOfString
	}
	return costOfStruct
}
