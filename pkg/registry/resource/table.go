// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// wantsTable returns true if the request asks for a Table. It returns an error for an unknown value of queryView.
func wantsTable(r *routes.Request) (bool, error) {
	switch r.Query(queryView) {
	case "":
		return false, nil
	case viewTable:
		return true, nil
	default:
		return false, envelope.Invalid(queryView, "view must be %s, or absent", viewTable)
	}
}

// open sends a list request for t to the cluster. It requests a Table if o.table is true.
func (o *listOptions) open(
	ctx context.Context, caller *scopedlist.Client, t objectref.Target, metrics *podmetrics.Metrics,
) (*scopedlist.Listing, error) {
	if !o.table {
		return caller.Open(ctx, t, o.query)
	}
	part := objects.MetadataOnly
	if metrics != nil || o.view.order.needsWholeObject() {
		part = objects.WholeObject
	}
	o.query.Set(objects.IncludeObject, part)
	listing, err := caller.OpenTable(ctx, t, o.query)
	return listing, tableError(t, err)
}

// tableError returns an error with CodeInvalid if err means that the API server does not support Tables. It returns any
// other err unchanged.
func tableError(t objectref.Target, err error) error {
	if errors.Is(err, objects.ErrNoTable) || apierrors.IsNotAcceptable(err) {
		return envelope.Invalid(queryView, "the cluster serves no table of %s: omit %s",
			t.Resource.GroupVersionResource.Resource, queryView)
	}
	return err
}

// needsWholeObject returns true if the sort key is not a field of metadata.
func (o *order) needsWholeObject() bool {
	return o.isSet() && (o.derived != nil || o.path[0] != "metadata")
}

// visitObjects calls visit with each object of the listing. encode() returns the JSON of the object for the response.
// For a Table, the JSON contains the cells of the object's row, and visitObjects also sets meta.Columns.
func (o *listOptions) visitObjects(
	listing *scopedlist.Listing, metrics *podmetrics.Metrics, meta *dashboardv1alpha1.Meta,
	visit func(item objects.Object, encode func() ([]byte, error)) error,
) (objects.Page, error) {
	if !o.table {
		return listing.Each(func(item objects.Object) error { return visit(item, item.Encode) })
	}
	columns, page, err := listing.EachRow(func(row objects.Row) error {
		return visit(row.Object, func() ([]byte, error) {
			if metrics == nil {
				return row.Encode()
			}
			if err := metrics.AddTo(row.Object); err != nil {
				return nil, err
			}
			return row.Encode(podmetrics.Field, podmetrics.StatusField)
		})
	})
	meta.Columns = columns
	return page, err
}
