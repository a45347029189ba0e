// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

// order is by the value at a path. Numbers come before texts, and objects without the value come last, whatever the direction.
type order struct {
	path       []string
	descending bool
}

var fieldPath = regexp.MustCompile(`^\.?[A-Za-z][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_-]{1,63}){0,15}$`)

func readOrder(sortBy, direction string) (order, error) {
	var o order
	switch direction {
	case "", "asc":
	case "desc":
		o.descending = true
	default:
		return order{}, envelope.Invalid(queryOrder, "order must be asc or desc")
	}
	switch sortBy {
	case "":
		return order{}, nil
	case "name", "namespace":
		o.path = []string{"metadata", sortBy}
	case "age": // the youngest were created last
		o.path, o.descending = []string{"metadata", "creationTimestamp"}, !o.descending
	default:
		if !fieldPath.MatchString(sortBy) {
			return order{}, envelope.Invalid(querySortBy, "sortBy must be name, namespace, age or a path such as status.phase")
		}
		o.path = strings.Split(strings.TrimPrefix(sortBy, "."), ".")
	}
	return o, nil
}

type sortKey struct {
	class  int
	number float64
	text   string
}

// The classes of values, in their order.
const (
	classNumber = iota
	classText
	classMissing
)

// compare is negative where a comes before b, and 0 where the order does not say.
func (o order) compare(a, b sortKey) int {
	if o.path == nil {
		return 0
	}
	if a.class != b.class {
		return cmp.Compare(a.class, b.class)
	}
	c := cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.text, b.text))
	if o.descending {
		return -c
	}
	return c
}

func (o order) key(item objects.Object) sortKey {
	current := map[string]json.RawMessage(item)
	for i, segment := range o.path {
		raw, ok := current[segment]
		if !ok {
			break
		}
		if i == len(o.path)-1 {
			return keyOf(raw)
		}
		var next map[string]json.RawMessage
		if err := json.Unmarshal(raw, &next); err != nil {
			break
		}
		current = next
	}
	return sortKey{class: classMissing}
}

func keyOf(raw json.RawMessage) sortKey {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil || value == nil {
		return sortKey{class: classMissing}
	}
	switch v := value.(type) {
	case float64:
		return sortKey{class: classNumber, number: v}
	case string:
		return sortKey{class: classText, text: v}
	default:
		return sortKey{class: classText, text: string(raw)}
	}
}
