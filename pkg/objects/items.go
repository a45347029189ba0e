// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// ElementBytes is the memory that an element of one of Kubernetes' own types may need, such as a Pod or a
	// Container without any field set.
	ElementBytes = 1 << 10
	// smallElementBytes is ElementBytes for types with few fields, and for values without a type.
	smallElementBytes = 128
	// smallItem is the size up to which an object is decoded without a charge, because it is released after
	// microseconds.
	smallItem = 4 << 10
	// growth is the factor by which a growing list exceeds the memory of its elements.
	growth = 3
)

const (
	// maxReadBytes bounds the memory for reading one object of a list. maxHeldBytes bounds the memory of the part of it
	// that is kept. Real objects need a small fraction: a Pod with 20 containers of 50 variables each is charged with 4
	// MiB while it is being read.
	maxReadBytes = 32 << 20
	maxHeldBytes = 512 << 10
	// aloneBytes is the memory for reading one object above which a request reads no other such object at the same
	// time.
	aloneBytes = 1 << 20
)

// ErrTooLarge is returned for an object of a list that takes too much memory.
var ErrTooLarge = fmt.Errorf("%w: an object of a list is too large to be read", budget.ErrExceeded)

// Omit is called with the name of each object of a list that is omitted because it needs too much memory. Without a
// function, such an object is an error of the whole list.
type Omit func(namespace, name string)

// except returns an error unchanged, unless the error concerns one object that can be omitted. It then calls omit and
// returns nil.
func (omit Omit) except(err error, name func() (namespace, name string)) error {
	if omit == nil || !errors.Is(err, ErrTooLarge) {
		return err
	}
	omit(name())
	return nil
}

// Items decodes the objects of a list into a small type with a part of their fields. The account is charged for the
// list, and for the lists and maps in its objects.
func Items[T any](body []byte, account *budget.Account, omit Omit) ([]T, error) {
	var out []T
	err := each(body, account, smallElementBytes, omit, func(item *T) error {
		if err := HoldSmall(account, item); err != nil {
			return err
		}
		out = append(out, *item)
		return nil
	})
	return out, err
}

// Each decodes the objects of a list individually into a type of any size. The account is charged for the current
// object, because two bytes of it may be a large element.
func Each[T any](body []byte, account *budget.Account, omit Omit, visit func(*T) error) error {
	return each(body, account, ElementBytes, omit, visit)
}

func each[T any](
	body []byte, account *budget.Account, elementBytes int64, omit Omit, visit func(*T) error,
) error {
	return eachItem(body, func(raw []byte) error {
		return omit.except(item(raw, account, elementBytes, visit), func() (string, string) { return nameOf(raw) })
	})
}

// Count returns the number of objects of a list without decoding them.
func Count(body []byte) (n int64, err error) {
	err = eachItem(body, func([]byte) error {
		n++
		return nil
	})
	return n, err
}

// Item decodes an object of a list into a type of any size. The account is charged for it until visit returns. Item
// returns ErrTooLarge for an object beyond the bound of one object.
func Item[T any](raw []byte, account *budget.Account, visit func(*T) error) error {
	return item(raw, account, ElementBytes, visit)
}

// SmallItem is like Item, for a small type with a part of the fields.
func SmallItem[T any](raw []byte, account *budget.Account, visit func(*T) error) error {
	return item(raw, account, smallElementBytes, visit)
}

func item[T any](raw []byte, account *budget.Account, elementBytes int64, visit func(*T) error) error {
	release, err := takeForReading(account, len(raw), func() int64 { return elements(raw) * elementBytes })
	if err != nil {
		return err
	}
	defer release()
	var out T
	if err := read(raw, &out); err != nil {
		return err
	}
	return visit(&out)
}

// takeForReading charges the account for an object of a list until release is called.
func takeForReading(account *budget.Account, length int, needed func() int64) (release func(), err error) {
	if length <= smallItem {
		return func() {}, nil
	}
	size := needed()
	if size > maxReadBytes {
		return nil, ErrTooLarge
	}
	take := account.Hold
	if size > aloneBytes {
		take = account.HoldAlone
	}
	if release, err = take(size); err != nil {
		return nil, fmt.Errorf("reading an object of a list: %w", err)
	}
	return release, nil
}

// nameOf returns the name of an object of a list.
func nameOf(raw []byte) (namespace, name string) {
	text := func(field string) string {
		value, _ := rawjson.At(raw, "metadata", field)
		out, err := rawjson.NewScanner(value).Text()
		if err != nil {
			return ""
		}
		return out
	}
	return text("namespace"), text("name")
}

// HoldSmall is like HoldItem, for a small type with a part of the fields. It returns ErrTooLarge for an object beyond
// the bound of one object.
func HoldSmall[T any](account *budget.Account, item *T) error {
	if referencedBytes(reflect.ValueOf(item).Elem()) > maxHeldBytes {
		return ErrTooLarge
	}
	return HoldItem(account, item)
}

// HoldItem charges the account for an object that is kept.
func HoldItem[T any](account *budget.Account, item *T) error {
	value := reflect.ValueOf(item).Elem()
	size := int64(value.Type().Size()) //nolint:gosec // the size of a type is small
	if err := account.Take(growth*size + referencedBytes(value)); err != nil {
		return fmt.Errorf("storing an object of a list: %w", err)
	}
	return nil
}

// elements returns an upper bound of the elements of an object. A null counts as an element.
func elements(raw []byte) int64 {
	return int64(bytes.Count(raw, []byte("{")) + bytes.Count(raw, []byte(",")) + 1)
}

// eachItem calls visit with the text of each item of a list.
func eachItem(body []byte, visit func(item []byte) error) error {
	s := rawjson.NewScanner(body)
	err := s.Members(func(key rawjson.Quoted) error {
		if !key.Is("items") || s.Peek() == 'n' { // null means an empty list
			return s.Value() //nolint:wrapcheck // wrapped below
		}
		return s.Elements(func() error { //nolint:wrapcheck // wrapped below
			item, err := withoutManagedFields(s)
			if err != nil {
				return err
			}
			return visit(item)
		})
	})
	if err == nil {
		err = s.End()
	}
	if errors.Is(err, rawjson.ErrSyntax) {
		return Unreadable(err)
	}
	return err //nolint:wrapcheck // an error of visit
}

// withoutManagedFields consumes an object, and returns its JSON without managed fields, which may be its largest part.
// The types of this program omit them.
func withoutManagedFields(s *rawjson.Scanner) ([]byte, error) {
	if begin := s.Pos(); s.Peek() != '{' {
		err := s.Value()
		return s.Since(begin), err //nolint:wrapcheck // callers wrap the error
	}
	return s.Rewrite(func(key rawjson.Quoted) (rawjson.Member, error) { //nolint:wrapcheck // callers wrap the error
		if !key.Is("metadata") || s.Peek() != '{' {
			return rawjson.Member{}, s.Value()
		}
		metadata, err := s.Rewrite(func(key rawjson.Quoted) (rawjson.Member, error) {
			return rawjson.Member{Omit: key.Is("managedFields")}, s.Value()
		})
		return rawjson.Member{Value: metadata}, err //nolint:wrapcheck // callers wrap the error
	})
}
