// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/json"
	"math/big"
	"strconv"
	"time"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// maxTextBytes bounds the bytes of the JSON of a name, quantity or time. Valid values are shorter, even with
	// escapes.
	maxTextBytes = 2 << 10
	// maxSummed bounds the number of elements that are read from an array, such as the containers of a Pod. API servers
	// store no Pod with more containers.
	maxSummed = 10_000
)

// item is an object in JSON. Callers read single top-level fields instead of decoding the whole object, because a
// decoded object may need much more memory than its JSON.
type item interface {
	// Member returns the JSON of a top-level field, or nil.
	Member(name string) json.RawMessage
}

// textAt returns the string at the given path in a JSON value. It returns an empty string if there is none, or if its
// JSON is longer than maxTextBytes.
func textAt(value []byte, path ...string) string {
	raw, ok := rawjson.At(value, path...)
	if !ok || len(raw) > maxTextBytes {
		return ""
	}
	text, err := rawjson.NewScanner(raw).Text()
	if err != nil {
		return ""
	}
	return text
}

// integerAt returns the integer at the given path in a JSON value, or 0 if there is none.
func integerAt(value []byte, path ...string) int64 {
	raw, ok := rawjson.At(value, path...)
	if !ok || len(raw) > maxTextBytes {
		return 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// quantityAt returns the number or quantity at the given path in a JSON value, or nil if there is none.
func quantityAt(value []byte, path ...string) *big.Rat {
	raw, ok := rawjson.At(value, path...)
	if !ok || len(raw) > maxTextBytes {
		return nil
	}
	key, _ := keyOf(raw)
	return key.number
}

// timeAt returns the time at the given path in a JSON value, or the zero time if there is none.
func timeAt(value []byte, path ...string) time.Time {
	t, err := time.Parse(time.RFC3339, textAt(value, path...)) // time.RFC3339 accepts fractions of seconds
	if err != nil {
		return time.Time{}
	}
	return t
}

// eachAt calls visit with the elements of the array at the given path in a JSON value. It ignores all elements after
// the first maxSummed elements.
func eachAt(value []byte, visit func(element []byte), path ...string) {
	array, ok := rawjson.At(value, path...)
	if !ok {
		return
	}
	visited := 0
	rawjson.Elements(array, func(element []byte) {
		visited++
		if visited <= maxSummed {
			visit(element)
		}
	})
}
