// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

// order sorts objects by a value. Numbers precede texts, and objects without the value come last in both directions.
type order struct {
	// sortBy is the query parameter. Empty means no order.
	sortBy     string
	path       []string
	descending bool
	// derived computes a value that is not a field of the object. It is nil for an order by a field.
	derived func(item) sortKey
}

func readOrder(sortBy, direction string) (order, error) {
	o := order{sortBy: sortBy}
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
	case "age": // the smallest age is the latest creation time
		o.path, o.descending = []string{"metadata", "creationTimestamp"}, !o.descending
	default:
		var ok bool
		if o.path, ok = parsePath(sortBy); !ok {
			return order{}, envelope.Invalid(querySortBy,
				"sortBy must be name, namespace, age, restarts, lastSeen, cpu, memory or a path such as status.phase")
		}
	}
	return o, nil
}

func (o *order) isSet() bool { return o.sortBy != "" }

// forResource adapts the order to a kind: for some kinds, sortBy names a computed value, such as the restarts of Pods.
func (o *order) forResource(r clusters.Resource) {
	if values, ok := derivedValues(r); ok && values[o.sortBy] != nil {
		o.derived = values[o.sortBy]
	}
}

// check returns an error if no object of the list has the sort field, unless the type of the kind has the field, or the
// list is empty and the type is not known.
func (o *order) check(r clusters.Resource, found int, keyed bool) error {
	if !o.isSet() || o.derived != nil || keyed {
		return nil
	}
	has, known := objects.HasField(r.GroupVersion().WithKind(r.Kind), o.path...)
	if has || (found == 0 && !known) {
		return nil
	}
	return envelope.Invalid(querySortBy, "no object of the list has a field %s to sort by", strings.Join(o.path, "."))
}

// compare compares two keys. It returns a negative number if a precedes b, and 0 if they are equal.
func (o *order) compare(a, b sortKey) int {
	if !o.isSet() {
		return 0
	}
	if a.class != b.class {
		return cmp.Compare(a.class, b.class)
	}
	c := strings.Compare(a.text, b.text)
	if a.class == classNumber {
		c = a.number.Cmp(b.number)
	}
	if o.descending {
		return -c
	}
	return c
}

const (
	// smallText is the size up to which a text is decoded without a charge, because it is released after microseconds.
	smallText = 4 << 10
	// decodedText is the memory per byte of a text while it is being decoded.
	decodedText = 3
)

// key returns the sort key of an object, or an error if the value cannot be compared. The account is charged for a
// large value while it is being decoded.
func (o *order) key(from item, account *budget.Account) (sortKey, error) {
	if o.derived != nil {
		return o.derived(from), nil
	}
	raw := valueAt(from, o.path)
	if len(raw) > smallText {
		size := int64(len(raw)) * decodedText
		if err := account.Take(size); err != nil {
			return sortKey{}, fmt.Errorf("reading a value to sort by: %w", err)
		}
		defer account.Give(size)
	}
	key, ok := keyOf(raw)
	if !ok {
		return sortKey{}, envelope.Invalid(querySortBy, "%s is an object or a list: sort by a field in it",
			strings.Join(o.path, "."))
	}
	return key, nil
}
