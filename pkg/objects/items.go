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
	// smallElementBytes is the same for types with few fields, and for values without a type.
	smallElementBytes = 128
	// smallItem is the size up to which an object is decoded without a charge, because it exists for microseconds.
	smallItem = 4 << 10
	// growth is the factor by which a growing list exceeds the memory of its elements.
	growth = 3
)

// Items decodes the objects of a list into a small type with a part of their fields. The account is charged for the
// list, and for the lists and maps in its objects.
func Items[T any](body []byte, account *budget.Account) ([]T, error) {
	var out []T
	err := each(body, account, smallElementBytes, func(item *T) error {
		if err := HoldItem(account, item); err != nil {
			return err
		}
		out = append(out, *item)
		return nil
	})
	return out, err
}

// Each decodes the objects of a list individually into a type of any size. The account is charged for the current
// object: two bytes of it may be a large element.
func Each[T any](body []byte, account *budget.Account, visit func(*T) error) error {
	return each(body, account, ElementBytes, visit)
}

func each[T any](body []byte, account *budget.Account, elementBytes int64, visit func(*T) error) error {
	return eachItem(body, func(raw []byte) error { return item(raw, account, elementBytes, visit) })
}

// Item decodes an object of a list into a type of any size. The account is charged for it until visit returns.
func Item[T any](raw []byte, account *budget.Account, visit func(*T) error) error {
	return item(raw, account, ElementBytes, visit)
}

// SmallItem is like Item, for a small type with a part of the fields.
func SmallItem[T any](raw []byte, account *budget.Account, visit func(*T) error) error {
	return item(raw, account, smallElementBytes, visit)
}

func item[T any](raw []byte, account *budget.Account, elementBytes int64, visit func(*T) error) error {
	if len(raw) > smallItem {
		size := elements(raw) * elementBytes
		if err := account.Take(size); err != nil {
			return fmt.Errorf("reading an object of a list: %w", err)
		}
		defer account.Give(size)
	}
	var out T
	if err := read(raw, &out); err != nil {
		return err
	}
	return visit(&out)
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

// elements returns how many elements an object has at most. A null is one, too.
func elements(raw []byte) int64 {
	return int64(bytes.Count(raw, []byte("{")) + bytes.Count(raw, []byte(",")) + 1)
}

// eachItem calls visit with the text of each item of a list.
func eachItem(body []byte, visit func(item []byte) error) error {
	s := rawjson.NewScanner(body)
	err := s.Members(func(key rawjson.Quoted) error {
		if !key.Is("items") || s.Peek() == 'n' { // null is an empty list
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

// withoutManagedFields consumes an object, and returns its text without managed fields, which may be the largest part
// of it. No type of this program has them.
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
