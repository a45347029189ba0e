// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is an object of a cluster as the JSON that is sent, beside the metadata that lists need. It must not be
// changed.
type Object struct {
	// JSON is the object with apiVersion and kind, and without managedFields.
	JSON []byte

	Namespace, Name string
	// ResourceVersion identifies the content of the object.
	ResourceVersion string
	Labels          Labels
	// Created is the creation time in seconds, or 0.
	Created int64

	// endsInitial is true for the bookmark at the end of a streaming list.
	endsInitial bool
}

// objectBytes is the memory of an Object beside its texts: the Object itself, and its place in a group. labelBytes is
// the same for a label.
const (
	objectBytes = 192
	labelBytes  = 64
)

// memory returns the memory of the object. Texts that objects share are counted for each, since a cluster may send
// objects that share none.
func (o *Object) memory() int64 {
	size := objectBytes + len(o.JSON) + len(o.Namespace) + len(o.Name) + len(o.ResourceVersion)
	for _, l := range o.Labels {
		size += labelBytes + len(l.Key) + len(l.Value)
	}
	return int64(size)
}

// Label is a label of an object.
type Label struct{ Key, Value string }

// Labels are sorted by key. They implement labels.Labels.
type Labels []Label

var _ labels.Labels = Labels{}

// Has returns whether there is a label.
func (l Labels) Has(key string) bool {
	_, ok := l.Lookup(key)
	return ok
}

// Get returns the value of a label, or an empty string.
func (l Labels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

// Lookup returns the value of a label, and whether there is one.
func (l Labels) Lookup(key string) (string, bool) {
	i, ok := slices.BinarySearchFunc(l, key, func(has Label, key string) int { return strings.Compare(has.Key, key) })
	if !ok {
		return "", false
	}
	return l[i].Value, true
}

var errNoMetadata = errors.New("the API server has sent an object without a name")

// parse returns an object for the JSON of one, which may be reused afterwards.
func parse(text []byte, kind schema.GroupVersionKind) (*Object, error) {
	s := &scanner{text: text}
	s.space()
	o, err := s.object(kind)
	if err != nil {
		return nil, err
	}
	return o, s.end()
}

// object consumes an object.
func (s *scanner) object(kind schema.GroupVersionKind) (*Object, error) {
	o := &Object{}
	hasKind, hasVersion := false, false
	own := func(s *scanner, has *bool) (member, error) {
		value, err := s.string()
		*has = value != ""
		return member{cut: value == ""}, err
	}
	body, err := s.rewritten(func(key quotedText) (member, error) {
		switch {
		case key.is("kind"):
			return own(s, &hasKind)
		case key.is("apiVersion"):
			return own(s, &hasVersion)
		case key.is("metadata"):
			metadata, err := o.metadata(s)
			return member{instead: metadata}, err
		default:
			return member{}, s.value()
		}
	})
	switch {
	case err != nil:
		return nil, err
	case o.Name == "":
		return nil, errNoMetadata
	}
	var head []byte
	if !hasKind {
		head = appendMember(head, "kind", kind.Kind)
	}
	if !hasVersion {
		head = appendMember(head, "apiVersion", kind.GroupVersion().String())
	}
	o.JSON = slices.Concat([]byte{'{'}, head, body[1:]) // the metadata follow the head
	return o, nil
}

// appendMember appends a member of an object that others follow.
func appendMember(out []byte, name, value string) []byte {
	encoded, _ := json.Marshal(map[string]string{name: value}) //nolint:errchkjson // strings always have a JSON form
	return append(append(out, encoded[1:len(encoded)-1]...), ',')
}

// metadata consumes the metadata of the object, and returns them without managedFields.
func (o *Object) metadata(s *scanner) ([]byte, error) {
	return s.rewritten(func(key quotedText) (_ member, err error) {
		switch {
		case key.is("managedFields"):
			return member{cut: true}, s.value()
		case key.is("name"):
			o.Name, err = s.string()
		case key.is("namespace"):
			var namespace string
			namespace, err = s.string()
			o.Namespace = shared(namespace)
		case key.is("resourceVersion"):
			o.ResourceVersion, err = s.string()
		case key.is("creationTimestamp"):
			var created string
			created, err = s.string()
			o.Created = seconds(created)
		case key.is("labels"):
			err = o.labels(s)
		default:
			err = s.value()
		}
		return member{}, err
	})
}

func (o *Object) labels(s *scanner) error {
	o.Labels = nil
	if s.peek() != '{' {
		return s.value()
	}
	err := s.members(func(key quotedText) error {
		value, err := s.string()
		o.Labels = append(o.Labels, Label{Key: shared(key.text()), Value: shared(value)})
		return err
	})
	slices.SortStableFunc(o.Labels, func(a, b Label) int { return strings.Compare(a.Key, b.Key) })
	o.Labels = slices.Clip(o.Labels)
	return err
}

// shared returns the same memory for equal texts.
func shared(text string) string { return unique.Make(text).Value() }

func seconds(text string) int64 {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return t.Unix()
}

// member is the replacement of a member of an object.
type member struct {
	// cut leaves it out.
	cut bool
	// instead takes the place of its value, unless it is nil.
	instead []byte
}

// rewritten consumes an object, and returns its text with the replacements of its members. visit consumes the value of a
// member.
func (s *scanner) rewritten(visit func(key quotedText) (member, error)) ([]byte, error) {
	switch s.peek() {
	case '{':
	case 0:
		return nil, errSyntax
	default:
		return nil, errNoMetadata
	}
	out := make([]byte, 1, 1<<10)
	out[0] = '{'
	err := s.enclosed('{', '}', func() error {
		start := s.pos
		key, err := s.key()
		if err != nil {
			return err
		}
		value := s.pos
		m, err := visit(key)
		if err != nil || m.cut {
			return err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		if m.instead == nil {
			out = append(out, s.text[start:s.pos]...)
			return nil
		}
		out = append(append(out, s.text[start:value]...), m.instead...)
		return nil
	})
	return append(out, '}'), err
}

// GetObjectKind implements runtime.Object.
func (*Object) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. An Object is never changed.
func (o *Object) DeepCopyObject() runtime.Object { return o }

// GetObjectMeta implements metav1.ObjectMetaAccessor with what a Reflector needs.
func (o *Object) GetObjectMeta() metav1.Object {
	m := &metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, ResourceVersion: o.ResourceVersion}
	if o.endsInitial {
		m.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	return m
}
