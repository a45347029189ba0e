// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

// Object is an immutable copy of an API object. It contains the JSON that is sent to users, and the metadata by which
// the cache selects and sorts objects.
type Object struct {
	// JSON is the object with apiVersion and kind, but without managedFields. It is valid UTF-8 without line feeds,
	// because watches send one event per line.
	JSON []byte

	Namespace, Name string
	ResourceVersion string
	Labels          Labels
	// Created is metadata.creationTimestamp in Unix seconds, or 0.
	Created int64
}

const (
	// objectBytes is the memory of an Object without its strings, in bytes. It includes the pointer to the Object in a
	// Group.
	objectBytes = 192
	// labelBytes is the memory of a label without its strings, in bytes.
	labelBytes = 64
)

const (
	// maxLabels bounds the number of labels of an object, because labels are decoded before their memory is counted.
	maxLabels = 1000
	// maxName bounds the length of a name or a namespace, in bytes. API servers do not store longer names.
	maxName = 253
	// maxVersion bounds the length of a resource version, in bytes. API servers do not use longer resource versions.
	maxVersion = 64
)

// memory returns an upper bound of the memory of the object, in bytes. It counts all strings of the object, even those
// that other objects share.
func (o *Object) memory() int64 {
	size := objectBytes + len(o.JSON) + len(o.Namespace) + len(o.Name) + len(o.ResourceVersion)
	for _, l := range o.Labels {
		size += labelBytes + len(l.Key) + len(l.Value)
	}
	return int64(size)
}

// Label is a label of an object.
type Label struct{ Key, Value string }

// Labels are the labels of an object, sorted by key. They implement labels.Labels.
type Labels []Label

var _ labels.Labels = Labels{}

// Has returns true if there is a label with the key.
func (l Labels) Has(key string) bool {
	_, ok := l.Lookup(key)
	return ok
}

// Get returns the value of the label, or an empty string.
func (l Labels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

// Lookup returns the value of the label, and true if the label exists.
func (l Labels) Lookup(key string) (string, bool) {
	i, ok := slices.BinarySearchFunc(l, key, func(has Label, key string) int { return strings.Compare(has.Key, key) })
	if !ok {
		return "", false
	}
	return l[i].Value, true
}

var (
	errNoMetadata = errors.New("the API server has sent an item or metadata that is not a JSON object, or an object " +
		"whose name is missing or whose name, namespace or resourceVersion is too long")
	errManyLabels = fmt.Errorf("the API server has sent an object with more than %d labels", maxLabels)
	errNotUTF8    = errors.New("the API server has sent an object that is not UTF-8")
)

// parse parses the JSON of an object. The caller may modify text afterwards.
func parse(text []byte, kind schema.GroupVersionKind) (*Object, error) {
	s := rawjson.NewScanner(text)
	o, err := scanObject(s, kind)
	if err != nil {
		return nil, err
	}
	return o, s.End()
}

// scanObject reads an object at the position of the scanner. API servers omit the fields kind and apiVersion from the
// objects of a list. If these fields are missing, scanObject adds them with the values of the given GroupVersionKind.
func scanObject(s *rawjson.Scanner, kind schema.GroupVersionKind) (*Object, error) {
	o := &Object{}
	hasKind, hasVersion := false, false
	own := func(s *rawjson.Scanner, has *bool) (rawjson.Member, error) {
		value, err := s.Text()
		*has = value != ""
		return rawjson.Member{Omit: value == ""}, err
	}
	body, err := rewriteObject(s, func(key rawjson.Quoted) (rawjson.Member, error) {
		switch {
		case key.Is("kind"):
			return own(s, &hasKind)
		case key.Is("apiVersion"):
			return own(s, &hasVersion)
		case key.Is("metadata"):
			metadata, err := o.metadata(s)
			return rawjson.Member{Value: metadata}, err
		default:
			return rawjson.Member{}, s.Value()
		}
	})
	switch {
	case err != nil:
		return nil, err
	case o.Name == "" || len(o.Name) > maxName || len(o.Namespace) > maxName || len(o.ResourceVersion) > maxVersion:
		return nil, errNoMetadata
	case !utf8.Valid(body): // watches require valid UTF-8
		return nil, errNotUTF8
	}
	var head []byte
	if !hasKind {
		head = appendMember(head, "kind", kind.Kind)
	}
	if !hasVersion {
		head = appendMember(head, "apiVersion", kind.GroupVersion().String())
	}
	o.JSON = slices.Concat([]byte{'{'}, head, body[1:]) // insert apiVersion and kind before the other members
	return o, nil
}

// appendMember appends the JSON of a string field, followed by a comma.
func appendMember(out []byte, name, value string) []byte {
	encoded, _ := json.Marshal(map[string]string{name: value}) //nolint:errchkjson // strings always have a JSON form
	return append(append(out, encoded[1:len(encoded)-1]...), ',')
}

// metadata reads the value of metadata at the position of the scanner. It sets the fields of o, and returns the JSON of
// the metadata without managedFields.
func (o *Object) metadata(s *rawjson.Scanner) ([]byte, error) {
	return rewriteObject(s, func(key rawjson.Quoted) (_ rawjson.Member, err error) {
		switch {
		case key.Is("managedFields"):
			return rawjson.Member{Omit: true}, s.Value()
		case key.Is("name"):
			o.Name, err = s.Text()
		case key.Is("namespace"):
			var namespace string
			namespace, err = s.Text()
			o.Namespace = shared(namespace)
		case key.Is("resourceVersion"):
			o.ResourceVersion, err = s.Text()
		case key.Is("creationTimestamp"):
			var created string
			created, err = s.Text()
			o.Created = seconds(created)
		case key.Is("labels"):
			err = o.labels(s)
		default:
			err = s.Value()
		}
		return rawjson.Member{}, err
	})
}

func (o *Object) labels(s *rawjson.Scanner) error {
	o.Labels = nil
	if s.Peek() != '{' {
		return s.Value()
	}
	err := s.Members(func(key rawjson.Quoted) error {
		value, err := s.Text()
		if len(o.Labels) == maxLabels {
			return errManyLabels
		}
		o.Labels = append(o.Labels, Label{Key: shared(key.Text()), Value: shared(value)})
		return err
	})
	slices.SortStableFunc(o.Labels, func(a, b Label) int { return strings.Compare(a.Key, b.Key) })
	o.Labels = slices.Clip(o.Labels)
	return err
}

// shared returns a string equal to text. All equal strings that it returns share their memory.
func shared(text string) string { return unique.Make(text).Value() }

func seconds(text string) int64 {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return t.Unix()
}

// rewriteObject returns the JSON object at the position of the scanner, with changed fields. It calls visit for each
// field. The function visit reads the value, and returns whether the field is kept, replaced or omitted.
func rewriteObject(s *rawjson.Scanner, visit func(key rawjson.Quoted) (rawjson.Member, error)) ([]byte, error) {
	if c := s.Peek(); c != '{' && c != 0 {
		return nil, errNoMetadata
	}
	return s.Rewrite(visit) //nolint:wrapcheck // the error is that of the text
}

// Member returns the JSON of a top-level field, or nil.
func (o *Object) Member(name string) json.RawMessage {
	value, ok := rawjson.Lookup(o.JSON, name)
	if !ok {
		return nil
	}
	return value
}

// GetObjectKind implements runtime.Object.
func (*Object) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. It returns o, because an Object is immutable.
func (o *Object) DeepCopyObject() runtime.Object { return o }

// GetObjectMeta implements metav1.ObjectMetaAccessor. The result contains only the fields that a Reflector reads.
func (o *Object) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, ResourceVersion: o.ResourceVersion}
}
