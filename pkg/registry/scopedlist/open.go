// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"bytes"
	"context"
	"io"
	"net/url"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// Listing is a list whose objects are decoded while the response arrives. The caller must call Each, EachRow or Close.
type Listing struct {
	Result

	target  objectref.Target
	account *budget.Account
	stream  io.ReadCloser
	closed  bool
}

// Open requests a list of t as the caller. The returned Listing decodes the objects one by one while they arrive. If
// the cluster denies a list of the whole cluster, Open requests one list for each namespace whose Namespace object the
// caller may get.
func (c *Client) Open(ctx context.Context, t objectref.Target, query url.Values) (*Listing, error) {
	return c.open(ctx, t, query, "")
}

// OpenTable requests a list of t in the format Table, with the identity of the caller. Listing.EachRow visits the rows
// of the Table. If the cluster denies a list of the whole cluster, OpenTable requests one Table for each namespace
// whose Namespace object the caller may get.
func (c *Client) OpenTable(ctx context.Context, t objectref.Target, query url.Values) (*Listing, error) {
	return c.open(ctx, t, query, objects.TableOnly)
}

func (c *Client) open(ctx context.Context, t objectref.Target, query url.Values, accept string) (*Listing, error) {
	call := t.Call("")
	call.Query, call.Accept = query, accept
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

// Each calls visit() with each object, and then closes the listing. It returns the metadata of the list. The metadata
// is empty if the listing consists of a separate list for each namespace.
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

// EachRow calls visit() with each row of a Table, and then closes the listing. The listing must come from OpenTable.
// EachRow returns the column definitions and the metadata of the list. The metadata is empty if the listing consists of
// a separate Table for each namespace.
func (l *Listing) EachRow(visit func(objects.Row) error) ([]dashboardv1alpha1.TableColumn, objects.Page, error) {
	defer l.Close()
	if l.stream != nil {
		return objects.ReadTable(l.stream, l.target.Resource, l.account, visit)
	}
	var columns []dashboardv1alpha1.TableColumn
	for _, body := range l.Bodies {
		found, _, err := objects.ReadTable(bytes.NewReader(body), l.target.Resource, l.account, visit)
		if err != nil {
			return nil, objects.Page{}, err
		}
		columns = found
	}
	return columns, objects.Page{}, nil
}

// Close closes the response of the cluster. It may be called several times.
func (l *Listing) Close() {
	if l.stream != nil && !l.closed {
		l.closed = true
		_ = l.stream.Close() // the rest is not needed
	}
}
