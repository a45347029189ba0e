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
	// maxTextBytes bounds the JSON of a text that is compared with a name, a quantity or a time. Valid texts are
	// shorter, even with escapes.
	maxTextBytes = 2 << 10
	// maxSummed bounds the containers or conditions of an object that are read. API servers store no Pods with more.
	maxSummed = 10_000
)

// item is an object whose members are read one at a time. It is not decoded as a whole, because two bytes of JSON may
// be a large element in memory.
type item interface {
	// Member returns the value of a member, or nil.
	Member(name string) json.RawMessage
}

// textAt returns the string at a path of a value, or an empty string for other or very long values.
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

// integerAt returns the integer at a path of a value, or 0.
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

// quantityAt returns the number or quantity at a path of a value, or nil.
func quantityAt(value []byte, path ...string) *big.Rat {
	raw, ok := rawjson.At(value, path...)
	if !ok || len(raw) > maxTextBytes {
		return nil
	}
	key, _ := keyOf(raw)
	return key.number
}

// timeAt returns the time at a path of a value, or the zero time.
func timeAt(value []byte, path ...string) time.Time {
	t, err := time.Parse(time.RFC3339, textAt(value, path...)) // time.RFC3339 accepts fractions of seconds
	if err != nil {
		return time.Time{}
	}
	return t
}

// eachAt calls visit with the first maxSummed elements of the array at a path of a value.
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
