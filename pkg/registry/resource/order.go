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

// order describes how objects are sorted. In both directions, numbers come first, then texts, and then objects without
// a value.
type order struct {
	// sortBy is the value of the query parameter sortBy. If it is empty, objects are not sorted.
	sortBy     string
	path       []string
	descending bool
	// derived computes a value that is not a field of the object. It is nil if objects are sorted by the field at path.
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

// forResource sets o.derived if o.sortBy is the name of a computed value of the resource r. An example of a computed
// value is the number of restarts of a Pod.
func (o *order) forResource(r clusters.Resource) {
	if values, ok := derivedValues(r); ok && values[o.sortBy] != nil {
		o.derived = values[o.sortBy]
	}
}

func (o *order) check(r clusters.Resource, objectCount int, hasSortField bool) error {
	if !o.isSet() || o.derived != nil || hasSortField {
		return nil
	}
	// The field may exist although no object of the list has it.
	has, known := objects.HasField(r.GroupVersion().WithKind(r.Kind), o.path...)
	// The fields of a custom resource are not known. Therefore, every field is accepted for an empty list.
	if has || (objectCount == 0 && !known) {
		return nil
	}
	return envelope.Invalid(querySortBy, "no object of the list has a field %s to sort by", strings.Join(o.path, "."))
}

// compare returns a negative number if the object with the key a precedes the object with the key b, and 0 if the keys
// are equal.
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
	// smallText is the maximum size of a JSON value that is decoded without a reservation of memory, in bytes.
	smallText = 4 << 10
	// decodedText is the number of bytes of memory that are reserved to decode one byte of a JSON value.
	decodedText = 3
)

// key returns the sort key of an object. It returns an error if the value to sort by is an object or a list. While key
// decodes a value larger than smallText, it reserves memory from account.
func (o *order) key(object item, account *budget.Account) (sortKey, error) {
	if o.derived != nil {
		return o.derived(object), nil
	}
	raw := valueAt(object, o.path)
	// A small value needs no reservation, because the decoded value is released within microseconds.
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
