// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"bytes"
	"context"
	"io"
	"net/url"

	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// Listing is a list that is read while it arrives. The caller must close it.
type Listing struct {
	Result

	target  objectref.Target
	account *budget.Account
	stream  io.ReadCloser
	closed  bool
}

// Open is like List, for objects that are visited one by one.
func (c *Client) Open(ctx context.Context, t objectref.Target, query url.Values) (*Listing, error) {
	call := t.Call("")
	call.Query = query
	stream, err := c.Stream(ctx, call)
	if err == nil {
		return &Listing{target: t, account: budget.AccountFrom(ctx), stream: stream}, nil
	}
	answer, err := c.listByNamespace(ctx, call, err)
	if err != nil {
		return nil, authorization.CallError(ctx, c.Client, t.Attributes("list"), err)
	}
	return &Listing{Result: answer, target: t, account: budget.AccountFrom(ctx)}, nil
}

// Each visits the objects and closes the listing, so that later calls of the request do not wait for the places of a
// large response. If the answer is partial, it visits one namespace after the other. Otherwise it returns the page of
// the list.
func (l *Listing) Each(visit func(objects.Object) error) (objects.Page, error) {
	defer l.Close()
	if l.stream != nil {
		return objects.ReadList(l.stream, l.target.Resource, l.account, visit)
	}
	for _, body := range l.Bodies {
		if _, err := objects.ReadList(bytes.NewReader(body), l.target.Resource, l.account, visit); err != nil {
			return objects.Page{}, err
		}
	}
	return objects.Page{}, nil
}

// Close stops reading.
func (l *Listing) Close() {
	if l.stream != nil && !l.closed {
		l.closed = true
		_ = l.stream.Close() // the rest is not needed
	}
}
