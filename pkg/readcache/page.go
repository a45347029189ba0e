// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// maxContinue bounds the continue token of a page of a list, in bytes. A token of an API server contains the
	// namespace and the name of an object.
	maxContinue = 4 << 10
	// maxFieldBytes bounds the total size of all fields of a page of a list, except the field items, in bytes. API
	// servers send less than 8 KiB in these fields.
	maxFieldBytes = 1 << 20
)

var (
	errLongVersion = fmt.Errorf("the API server has sent a list or a bookmark with a resourceVersion of more than %d "+
		"bytes, or with a continue token of more than %d bytes", maxVersion, maxContinue)
	errLargeFields = fmt.Errorf("the API server has sent a list with more than %d bytes in addition to its items",
		maxFieldBytes)
)

// listPage is one page of the response to a list request, in the form that a Reflector expects.
type listPage struct {
	metav1.ListMeta

	Items []runtime.Object
}

// GetObjectKind implements runtime.Object.
func (*listPage) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. It returns p, because a listPage is immutable.
func (p *listPage) DeepCopyObject() runtime.Object { return p }

// read decodes a page of a list. It decodes one object at a time. It returns errLargeFields if the fields other than
// the items are larger than maxFieldBytes together.
func (s *source) read(body io.Reader) (*listPage, error) {
	bounded := &pageReader{body: body, countMemory: s.countMemory}
	defer bounded.close()
	decoder, page := json.NewDecoder(bounded), &listPage{Items: []runtime.Object{}}
	if err := delimiter(decoder, '{'); err != nil {
		return nil, err
	}
	complete, items := false, int64(0)
	for decoder.More() {
		bounded.resetLimit()
		field, err := decoder.Token()
		if err != nil {
			return nil, unreadable(err)
		}
		switch field {
		case "metadata":
			err = page.decode(decoder)
		case "items":
			if complete {
				return nil, rawjson.ErrSyntax
			}
			begin := decoder.InputOffset()
			complete, err = true, s.items(decoder, bounded, page)
			items = decoder.InputOffset() - begin
		default:
			err = decoder.Decode(new(json.RawMessage))
		}
		if err != nil {
			return nil, unreadable(err)
		}
		if decoder.InputOffset()-items > maxFieldBytes {
			return nil, errLargeFields
		}
	}
	if !complete {
		return nil, rawjson.ErrSyntax
	}
	return page, delimiter(decoder, '}')
}

// decode reads the metadata of a list. It retains only the fields that a Reflector uses.
func (p *listPage) decode(decoder *json.Decoder) error {
	var found metav1.ListMeta
	if err := decoder.Decode(&found); err != nil {
		return err //nolint:wrapcheck // the caller replaces it
	}
	if len(found.ResourceVersion) > maxVersion || len(found.Continue) > maxContinue {
		return errLongVersion
	}
	p.ListMeta = metav1.ListMeta{ResourceVersion: found.ResourceVersion, Continue: found.Continue}
	return nil
}

func (s *source) items(decoder *json.Decoder, bounded *pageReader, page *listPage) error {
	if err := delimiter(decoder, '['); err != nil {
		return err
	}
	for decoder.More() {
		bounded.resetLimit()
		var text json.RawMessage
		if err := decoder.Decode(&text); err != nil {
			return unreadable(err)
		}
		o, err := parse(text, s.kind)
		if err != nil {
			return err
		}
		if o, err = s.keep(o, true); err != nil {
			return err
		}
		s.found(false)
		page.Items = append(page.Items, o)
	}
	return delimiter(decoder, ']')
}

func delimiter(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return unreadable(err)
	}
	if token != want {
		return rawjson.ErrSyntax
	}
	return nil
}

// unreadable returns rawjson.ErrSyntax for errors of a JSON decoder, because the text of these errors may quote data of
// the cluster. It returns other errors unchanged.
func unreadable(err error) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return rawjson.ErrSyntax
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return rawjson.ErrSyntax
	}
	return err
}
