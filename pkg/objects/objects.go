// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package objects decodes the responses of a cluster's API server. It converts objects, lists and Tables to the JSON
// that callers of the API get: without managedFields, and with the values of Secrets masked.
package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

// Object is a Kubernetes object as a map from the names of its top-level fields to their undecoded JSON.
type Object map[string]json.RawMessage //nolint:recvcheck // only decoding sets the map itself

// UnmarshalJSON implements json.Unmarshaler. It copies text once, and all values share this copy.
func (o *Object) UnmarshalJSON(text []byte) error { return o.split(bytes.Clone(text)) }

// maxMembers bounds the number of top-level fields of an object, and the number of fields of its metadata. Real objects
// have a few.
const maxMembers = 10_000

var errTooManyMembers = fmt.Errorf("an object has more than %d members", maxMembers)

// split sets o to the members of the JSON object in text. The values are slices of text, not copies. If text is null, o
// does not change.
func (o *Object) split(text []byte) error {
	s := rawjson.NewScanner(text)
	if s.Peek() == 'n' { // null leaves the value unchanged, as in encoding/json
		return s.Value() //nolint:wrapcheck // callers wrap the error
	}
	members := Object{}
	if err := s.Members(func(key rawjson.Quoted) error {
		begin := s.Pos()
		err := s.Value()
		if err != nil {
			return err //nolint:wrapcheck // callers wrap the error
		}
		members[key.Text()] = s.Since(begin)
		if len(members) > maxMembers {
			return errTooManyMembers
		}
		return nil
	}); err != nil {
		return err //nolint:wrapcheck // callers wrap the error
	}
	*o = members
	return s.End() //nolint:wrapcheck // callers wrap the error
}

// Member returns the JSON of the top-level field with the given name, or nil.
func (o Object) Member(name string) json.RawMessage { return o[name] }

// Encode returns the JSON of the object. Its top-level fields are sorted by name.
func (o Object) Encode() ([]byte, error) {
	size := len("{}")
	names := make([]string, 0, len(o))
	for name, value := range o {
		names = append(names, name)
		size += len(name) + len(value) + len(`"":,`)
	}
	slices.Sort(names)
	out := append(make([]byte, 0, size), '{')
	for i, name := range names {
		key, err := Encode(name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, key...), ':')
		if len(o[name]) == 0 {
			out = append(out, "null"...)
		}
		out = append(out, o[name]...)
	}
	return append(out, '}'), nil
}

// List is a page of a list. The objects have the same form as the result of Decode.
type List struct {
	Page

	Items []Object
}

// DecodeList decodes body, a list of the resource r, and converts each object as Decode does.
func DecodeList(body []byte, r clusters.Resource) (List, error) {
	list := List{Items: []Object{}}
	page, err := ReadList(bytes.NewReader(body), r, nil, func(o Object) error {
		list.Items = append(list.Items, o)
		return nil
	})
	list.Page = page
	return list, err
}

// Decode decodes body, an object of the resource r. It sets a missing kind and apiVersion, removes managedFields, and
// masks the values of a Secret.
func Decode(body []byte, r clusters.Resource) (Object, error) {
	return decode(body, r, IsSecret(r), nil)
}

// DecodeRevealed is like Decode, but does not mask the values of a Secret. It is for callers who may read them.
func DecodeRevealed(body []byte, r clusters.Resource) (Object, error) {
	return decode(body, r, false, nil)
}

// DecodeBeside is like Decode, but shows which values of two Secrets differ. otherBody is the object with which a user
// compares body, or nil. In a Secret, values that differ between the two objects are replaced by the text Differs. All
// other values are replaced by the text Masked.
func DecodeBeside(body, otherBody []byte, r clusters.Resource) (Object, error) {
	if !IsSecret(r) || otherBody == nil {
		return Decode(body, r)
	}
	otherValues, err := valuesOf(otherBody)
	if err != nil {
		return nil, err
	}
	return decode(body, r, true, otherValues)
}

func decode(body []byte, r clusters.Resource, masking bool, otherValues values) (Object, error) {
	var o Object
	if err := o.split(body); err != nil {
		return nil, Unreadable(err)
	}
	if err := o.prepareForUser(r, masking, otherValues); err != nil {
		return nil, err
	}
	return o, nil
}

// Unreadable returns the error for a response of an API server that cannot be decoded. Its message does not contain the
// response. If err is budget.ErrExceeded, it is returned unchanged.
func Unreadable(err error) error {
	if errors.Is(err, budget.ErrExceeded) {
		return err
	}
	return envelope.New(dashboardv1alpha1.CodeUnreachable,
		"the response of the cluster's API server cannot be decoded").WithCause(err)
}

func (o Object) prepareForUser(r clusters.Resource, masking bool, otherValues values) error {
	if o == nil {
		return Unreadable(fmt.Errorf("an object of %s is null", r.GroupVersionResource.Resource))
	}
	// The items of a list have neither kind nor apiVersion. Existing values do not change, because an API server may
	// return an object of another kind than the requested one.
	for field, value := range map[string]string{"kind": r.Kind, "apiVersion": r.GroupVersion().String()} {
		if err := o.setIfEmpty(field, value); err != nil {
			return err
		}
	}
	var metadata Object
	if err := metadata.split(o["metadata"]); err != nil || metadata == nil {
		return Unreadable(fmt.Errorf("an object of %s has no metadata", r.GroupVersionResource.Resource))
	}
	delete(metadata, "managedFields")
	if masking {
		if err := mask(o, metadata, otherValues); err != nil {
			return err
		}
	}
	encoded, err := metadata.Encode()
	o["metadata"] = encoded
	return err
}

// setIfEmpty sets a top-level field of the object to value, unless the field already contains a text.
func (o Object) setIfEmpty(field, value string) error {
	if own := o[field]; len(own) > len(`""`) && own[0] == '"' {
		return nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the %s: %w", field, err)
	}
	o[field] = encoded
	return nil
}

// Metadata contains the fields of an object's metadata that this program uses.
type Metadata struct {
	Name      string
	Namespace string
}

// Metadata decodes the name and the namespace of the object.
func (o Object) Metadata() (Metadata, error) {
	var out Metadata
	err := eachMember(o["metadata"], func(key rawjson.Quoted, s *rawjson.Scanner) (err error) {
		switch {
		case key.Is("name"):
			out.Name, err = s.Text()
		case key.Is("namespace"):
			out.Namespace, err = s.Text()
		default:
			err = s.Value()
		}
		return err //nolint:wrapcheck // the error is replaced
	})
	if err != nil {
		return Metadata{}, Unreadable(errors.New("the metadata of an object cannot be read"))
	}
	return out, nil
}

// EachLabel calls visit with each label of the object. If the value of a label is not a string, visit gets an empty
// string. EachLabel returns an error if the labels are not a JSON object.
func (o Object) EachLabel(visit func(key, value string)) error {
	labels, ok := rawjson.At(o["metadata"], "labels")
	if !ok || string(labels) == "null" {
		return nil
	}
	err := eachMember(labels, func(key rawjson.Quoted, s *rawjson.Scanner) error {
		value, err := s.Text()
		visit(key.Text(), value)
		return err //nolint:wrapcheck // the error is replaced
	})
	if err != nil {
		return Unreadable(errors.New("the labels of an object cannot be read"))
	}
	return nil
}

// eachMember calls visit for each member of a JSON object. visit must read the value of the member from the scanner.
func eachMember(object []byte, visit func(key rawjson.Quoted, s *rawjson.Scanner) error) error {
	s := rawjson.NewScanner(object)
	return s.Members(func(key rawjson.Quoted) error { return visit(key, s) }) //nolint:wrapcheck // callers wrap it
}

// Encode returns the JSON of v. Like kube-apiserver, it does not escape <, > and &.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding objects: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
