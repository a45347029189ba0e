// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"encoding/json"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// sortKey is a value by which objects are sorted.
type sortKey struct {
	class int
	// number is for classNumber, text for classText.
	number *big.Rat
	text   string
}

// The classes of values, in their order.
const (
	classNumber = iota
	classText
	classMissing
)

// numberBytes is the memory of a number with the most digits that it may have.
const numberBytes = 512

func (k sortKey) bytes() int64 {
	if k.number != nil {
		return numberBytes
	}
	return int64(len(k.text))
}

func missing() sortKey { return sortKey{class: classMissing} }

func number(n *big.Rat) sortKey { return sortKey{class: classNumber, number: n} }

// keyOf returns the key of a value, and false for objects and lists, which have no order. A text that is a quantity
// counts as a number, as with kubectl.
func keyOf(raw json.RawMessage) (sortKey, bool) {
	switch {
	case len(raw) == 0:
		return missing(), true
	case raw[0] == '{' || raw[0] == '[': // it is not decoded, since it may have any number of elements
		return sortKey{}, false
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return missing(), true
	}
	switch v := value.(type) {
	case nil:
		return missing(), true
	case json.Number:
		return numberKey(v.String()), true
	case string:
		return textKey(v), true
	case bool:
		return sortKey{class: classText, text: strconv.FormatBool(v)}, true
	default:
		return sortKey{}, false
	}
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

// quantity matches a number with one of the suffixes of Kubernetes. The digits are bounded, so that a large exponent
// does not fill the memory.
var quantity = regexp.MustCompile(
	`^([+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?)([numkMGTPE]|[KMGTPE]i)?$`,
)

// parseQuantity reads a number or a quantity such as 500Mi.
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

// multiplier returns the factor of a suffix.
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
