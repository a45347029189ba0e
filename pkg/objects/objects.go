// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package objects decodes responses of a cluster's API server, and converts them to the form that callers get.
package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// Object is a Kubernetes object of which only the necessary parts are decoded.
type Object map[string]json.RawMessage

// List is a page of objects as callers see them.
type List struct {
	Page

	Items []Object
}

// DecodeList reads a list of the cluster's API server.
func DecodeList(body []byte, r clusters.Resource) (List, error) {
	list := List{Items: []Object{}}
	page, err := ReadList(bytes.NewReader(body), r, nil, func(o Object) error {
		list.Items = append(list.Items, o)
		return nil
	})
	list.Page = page
	return list, err
}

// Decode reads an object of the cluster's API server.
func Decode(body []byte, r clusters.Resource) (Object, error) {
	return decode(body, r, IsSecret(r), nil)
}

// DecodeRevealed is like Decode, for callers who may see the values of this Secret.
func DecodeRevealed(body []byte, r clusters.Resource) (Object, error) {
	return decode(body, r, false, nil)
}

// DecodeBeside is Decode for an object that is compared with another one of its kind. In a Secret, a value that differs
// from the other one's has another mask, so that the comparison shows it.
func DecodeBeside(body, other []byte, r clusters.Resource) (Object, error) {
	if !IsSecret(r) || other == nil {
		return Decode(body, r)
	}
	beside, err := valuesOf(other)
	if err != nil {
		return nil, err
	}
	return decode(body, r, true, beside)
}

func decode(body []byte, r clusters.Resource, masking bool, beside values) (Object, error) {
	var o Object
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, Unreadable(err)
	}
	if err := o.prepare(r, masking, beside); err != nil {
		return nil, err
	}
	return o, nil
}

// Unreadable returns the error of a response that no API server gives. Its content stays out of the message.
func Unreadable(err error) error {
	if errors.Is(err, budget.ErrExceeded) {
		return err
	}
	return envelope.New(dashboardv1alpha1.CodeUnreachable,
		"the response of the cluster's API server cannot be decoded").WithCause(err)
}

// prepare converts an object to the form that callers get: with its kind, which the items of a list lack, without
// managedFields, and with the values of a Secret masked if required.
func (o Object) prepare(r clusters.Resource, masking bool, beside values) error {
	if o == nil {
		return Unreadable(fmt.Errorf("an object of %s is null", r.GroupVersionResource.Resource))
	}
	for field, value := range map[string]string{"kind": r.Kind, "apiVersion": r.GroupVersion().String()} {
		if err := o.complete(field, value); err != nil {
			return err
		}
	}
	var metadata Object
	if err := json.Unmarshal(o["metadata"], &metadata); err != nil || metadata == nil {
		return Unreadable(fmt.Errorf("an object of %s has no metadata", r.GroupVersionResource.Resource))
	}
	delete(metadata, "managedFields")
	if masking {
		if err := mask(o, metadata, beside); err != nil {
			return err
		}
	}
	encoded, err := Encode(metadata)
	o["metadata"] = encoded
	return err
}

// complete sets a text that an object lacks. An existing text is kept: the kind may have changed.
func (o Object) complete(field, value string) error {
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

// Metadata contains the used fields of an object's metadata.
type Metadata struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels"`
}

// Metadata is the metadata of the object.
func (o Object) Metadata() (Metadata, error) {
	var metadata Metadata
	if err := json.Unmarshal(o["metadata"], &metadata); err != nil {
		return Metadata{}, Unreadable(errors.New("the metadata of an object cannot be read"))
	}
	return metadata, nil
}

// Encode is JSON, with <, > and & as they are, as kube-apiserver writes them.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding objects: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
