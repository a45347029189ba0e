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
	// ElementBytes is the number of bytes of memory that are charged for each JSON value or protobuf message in an
	// object. It applies to decoding into Kubernetes API types, in which one value may become a large struct, such as a
	// Container.
	ElementBytes = 1 << 10
	// smallElementBytes is the number of bytes of memory that are charged for each JSON value in an object that is
	// decoded into maps, slices, or a type with few fields. Kubernetes API types need the larger ElementBytes.
	smallElementBytes = 128
	// smallItem is the maximum size of an object whose decoding is not charged, in bytes of JSON or protobuf. Such an
	// object needs little memory, and only for microseconds.
	smallItem = 4 << 10
	// growthFactor is the factor by which HoldItem multiplies the size of an item, because the item may be appended to
	// a slice. When the slice grows, append allocates a larger array before the previous array is released.
	growthFactor = 3
)

const (
	// maxReadBytes bounds the memory for decoding one object of a list, in bytes. Real objects stay far below this
	// limit. For example, 4 MiB are charged for decoding a Pod with 1,000 environment variables.
	maxReadBytes = 32 << 20
	// maxHeldBytes bounds the memory for the strings, slices and maps of one decoded object of a list, in bytes. Real
	// objects stay far below this limit.
	maxHeldBytes = 512 << 10
	// aloneBytes is the number of bytes of memory above which an object is large. A request decodes only one large
	// object at a time.
	aloneBytes = 1 << 20
)

// ErrTooLarge is returned if decoding an object of a list would take too much memory. It wraps budget.ErrExceeded.
var ErrTooLarge = fmt.Errorf("%w: an object of a list is too large to be read", budget.ErrExceeded)

// Omit is called with the namespace and name of each object that is omitted from a list because its decoding would take
// too much memory. With a nil Omit, such an object causes an error for the whole list.
type Omit func(namespace, name string)

// except handles the error of decoding one object of a list. If err is ErrTooLarge and omit is not nil, it calls omit
// with the namespace and name of the object, and returns nil. In all other cases, it returns err unchanged.
func (omit Omit) except(err error, name func() (namespace, name string)) error {
	if omit == nil || !errors.Is(err, ErrTooLarge) {
		return err
	}
	omit(name())
	return nil
}

// Items decodes the objects of a JSON list into values of T. T must have far fewer fields than a Kubernetes API type,
// because Items charges only smallElementBytes for decoding each JSON value. The memory of the returned values is
// charged to the account. If an object is too large, Items omits it and calls omit with the namespace and name of the
// object. If omit is nil, Items returns ErrTooLarge instead.
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

// Each decodes the objects of a JSON list one by one, and calls visit with each. The memory of each object is charged
// to the account until visit() returns. If an object is too large, Each skips it and calls omit with the namespace and
// name of the object. If omit is nil, Each returns ErrTooLarge instead.
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

// Count returns the number of objects in a JSON list without decoding them.
func Count(body []byte) (n int64, err error) {
	err = eachItem(body, func([]byte) error {
		n++
		return nil
	})
	return n, err
}

// Item decodes one object of a JSON list, and calls visit with the result. The parameter raw is the JSON of the object.
// The memory of the object is charged to the account until visit() returns. Item returns ErrTooLarge for an object
// whose decoding would take more than maxReadBytes.
func Item[T any](raw []byte, account *budget.Account, visit func(*T) error) error {
	return item(raw, account, ElementBytes, visit)
}

// SmallItem decodes one object of a JSON list, and calls visit with the result. The parameter raw is the JSON of the
// object. T must have far fewer fields than a Kubernetes API type, because SmallItem charges only smallElementBytes for
// decoding each JSON value. The memory is charged to the account until visit() returns.
func SmallItem[T any](raw []byte, account *budget.Account, visit func(*T) error) error {
	return item(raw, account, smallElementBytes, visit)
}

func item[T any](raw []byte, account *budget.Account, elementBytes int64, visit func(*T) error) error {
	release, err := chargeDecoding(account, len(raw), func() int64 { return elements(raw) * elementBytes })
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

// chargeDecoding charges the account for the memory that decoding an object takes. The caller must call release when
// the object is no longer needed.
func chargeDecoding(account *budget.Account, encodedBytes int, decodedBytes func() int64) (release func(), err error) {
	if encodedBytes <= smallItem {
		return func() {}, nil
	}
	size := decodedBytes()
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

// nameOf returns metadata.namespace and metadata.name of a JSON object. It returns empty strings for missing fields.
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

// HoldSmall charges the memory of item, and of everything to which item points, to the given account. T must be a type
// with few fields. If item points to more memory than maxHeldBytes, HoldSmall returns ErrTooLarge.
func HoldSmall[T any](account *budget.Account, item *T) error {
	if referencedBytes(reflect.ValueOf(item).Elem()) > maxHeldBytes {
		return ErrTooLarge
	}
	return HoldItem(account, item)
}

// HoldItem charges the memory of item, and of everything to which item points, to the given account. It multiplies the
// size of item itself by growthFactor, because the caller may append item to a slice.
func HoldItem[T any](account *budget.Account, item *T) error {
	value := reflect.ValueOf(item).Elem()
	size := int64(value.Type().Size()) //nolint:gosec // the size of a type is small
	if err := account.Take(growthFactor*size + referencedBytes(value)); err != nil {
		return fmt.Errorf("storing an object of a list: %w", err)
	}
	return nil
}

// DecodingBytes returns the number of bytes of memory that decoding a JSON text into Kubernetes API types may take.
func DecodingBytes(text []byte) int64 { return elements(text) * ElementBytes }

// elements returns an upper bound of the number of values in a JSON object, at all levels. A field or an element with
// the value null counts, too.
func elements(raw []byte) int64 {
	count := 1 // the value after each of these characters is one more
	for _, character := range []string{"{", "[", ","} {
		count += bytes.Count(raw, []byte(character))
	}
	return int64(count)
}

// eachItem calls visit with the JSON of each object of a list. It removes metadata.managedFields from the objects.
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

// withoutManagedFields reads the next value from s and returns its JSON without metadata.managedFields, which is often
// the largest part of an object and is never used.
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
