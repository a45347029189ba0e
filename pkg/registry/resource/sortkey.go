// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

// sortKey is a value by which objects are sorted.
type sortKey struct {
	// class is the class of the value, for example classNumber. Values of a lower class come first.
	class int
	// number is the value if class is classNumber. Otherwise, it is nil.
	number *big.Rat
	// text is the value if class is classText. Otherwise, it is empty.
	text string
}

// Classes of sort keys, in the order in which they are sorted.
const (
	classNumber = iota
	classText
	classMissing
)

// numberBytes is an upper bound of the memory for the field number of a sortKey, in bytes. The field is a big.Rat,
// which needs many bytes for a number such as 1e300.
const numberBytes = 512

func (k sortKey) bytes() int64 {
	if k.number != nil {
		return numberBytes
	}
	return int64(len(k.text))
}

func missing() sortKey { return sortKey{class: classMissing} }

func number(n *big.Rat) sortKey { return sortKey{class: classNumber, number: n} }

// maxNumber bounds the bytes of a number in JSON. API servers write shorter numbers.
const maxNumber = 1 << 10

// keyOf returns the sort key of a JSON value. It returns false for objects and arrays, which have no order. A string
// that is a quantity, such as 500Mi, is sorted as a number, as in kubectl.
func keyOf(raw []byte) (sortKey, bool) {
	s := rawjson.NewScanner(raw)
	switch s.Peek() {
	case '{', '[':
		return sortKey{}, false
	case '"':
		if text, err := s.Text(); err == nil {
			return textKey(text), true
		}
	case 't', 'f':
		return sortKey{class: classText, text: string(raw)}, true
	default: // a number, null, or no value
		if len(raw) <= maxNumber {
			return numberKey(string(raw)), true
		}
	}
	return missing(), true
}

func textKey(text string) sortKey {
	if n, ok := parseQuantity(text); ok {
		return number(n)
	}
	return sortKey{class: classText, text: text}
}

func numberKey(text string) sortKey {
	if n, ok := parseQuantity(text); ok {
		return number(n)
	}
	value, err := strconv.ParseFloat(text, 64)
	if n := new(big.Rat).SetFloat64(value); err == nil && n != nil {
		return number(n)
	}
	return missing()
}

// quantity matches a number with an optional suffix of a Kubernetes quantity. It bounds the digits of the number and of
// the exponent, so that the number cannot exhaust the memory.
var quantity = regexp.MustCompile(
	`^([+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?)([numkMGTPE]|[KMGTPE]i)?$`)

// parseQuantity parses a number or a quantity such as 500Mi. It returns false for any other text.
func parseQuantity(text string) (*big.Rat, bool) {
	parts := quantity.FindStringSubmatch(text)
	if parts == nil {
		return nil, false
	}
	n, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		return nil, false
	}
	return n.Mul(n, multiplier(parts[2])), true
}

// multiplier returns the factor of a suffix of a quantity.
func multiplier(suffix string) *big.Rat {
	const thousand, binary = 1000, 1024
	one := big.NewInt(1)
	power := func(base int64, exponent int) *big.Int {
		return new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(exponent)), nil)
	}
	const small, large = "num", "kMGTPE"
	switch {
	case suffix == "":
		return new(big.Rat).SetInt(one)
	case len(suffix) == 2: //nolint:mnd // such as Ki
		return new(big.Rat).SetInt(power(binary, 1+strings.IndexByte("KMGTPE", suffix[0])))
	case strings.IndexByte(small, suffix[0]) >= 0:
		return new(big.Rat).SetFrac(one, power(thousand, len(small)-strings.IndexByte(small, suffix[0])))
	default:
		return new(big.Rat).SetInt(power(thousand, 1+strings.IndexByte(large, suffix[0])))
	}
}
