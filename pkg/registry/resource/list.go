// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// listOptions contains the parameters of a list request.
type listOptions struct {
	// query contains the parameters that are sent to the API server.
	query url.Values
	// view contains the parameters for searching, sorting and paging, which this package evaluates.
	view view
	// metrics is true if the response contains the metrics of Pods.
	metrics bool
	// live is true if the read cache must not be used.
	live bool
	// table is true if the response contains the cells of a Table instead of whole objects. In this case, the read
	// cache is not used, because only kube-apiserver can compute the cells.
	table bool
	// encoded is the whole query of the request.
	encoded string
}

func list(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	result, t, err := listTarget(r, caller)
	if err == nil {
		caller.NotifyListed(r.Path(objectref.Resource), t)
	}
	return result, err
}

func listTarget(r *routes.Request, caller *scopedlist.Client) (routes.Result, objectref.Target, error) {
	o, err := readListOptions(r)
	if err != nil {
		return routes.Result{}, objectref.Target{}, err
	}
	t, err := objectref.Read(r, caller.Client, "list")
	if err != nil {
		return routes.Result{}, t, err
	}
	result, err := o.list(r, caller, t)
	return result, t, err
}

// list returns the objects of t from the read cache if possible, or else from the cluster.
func (o *listOptions) list(r *routes.Request, caller *scopedlist.Client, t objectref.Target) (routes.Result, error) {
	o.view.order.forResource(t.Resource)
	if result, ok, err := o.fromCache(r.Context(), caller, t); ok || err != nil {
		return result, err
	}
	var metrics *podmetrics.Metrics
	if o.metrics && isPods(t) {
		metrics = podmetrics.Read(r.Context(), caller, t)
		if err := o.view.order.byUsage(metrics); err != nil {
			return routes.Result{}, err
		}
	}
	listing, err := o.open(r.Context(), caller, t, metrics)
	if err != nil {
		return routes.Result{}, guessField(err, o.query)
	}
	defer listing.Close()
	meta := listing.Meta()
	var data envelope.Pieces
	if o.view.needsWholeList() || listing.Partial || metrics != nil {
		data, err = o.collect(r.Context(), t, listing, metrics, &meta)
	} else {
		data, err = o.pass(r.Context(), listing, &meta)
	}
	return routes.Result{Data: data, Meta: meta}, tableError(t, err)
}

// pass returns the objects as a JSON array. It encodes each object as soon as it has been read, so that a large list is
// not in memory twice.
func (o *listOptions) pass(
	ctx context.Context,
	listing *scopedlist.Listing,
	meta *dashboardv1alpha1.Meta,
) (envelope.Pieces, error) {
	out := envelope.NewBuffer(budget.AccountFrom(ctx))
	separator := []byte{'['}
	write := func(parts ...[]byte) error {
		for _, part := range parts {
			if _, err := out.Write(part); err != nil {
				return err //nolint:wrapcheck // it has its code as it is
			}
		}
		return nil
	}
	page, err := o.visitObjects(listing, nil, meta, func(_ objects.Object, encode func() ([]byte, error)) error {
		encoded, err := encode()
		if err != nil {
			return err
		}
		err = write(separator, encoded)
		separator = []byte{','}
		return err
	})
	if err != nil {
		return nil, err
	}
	o.count(page, meta)
	end := []byte{']'}
	if separator[0] == '[' { // nothing was written yet
		end = []byte("[]")
	}
	err = write(end)
	return out.Pieces(), err
}

// collect decodes the whole list, and returns the objects of the page as a JSON array. It is for lists whose page is
// known only after the last object was read, such as sorted lists and searches, and for lists with metrics.
func (o *listOptions) collect(
	ctx context.Context,
	t objectref.Target,
	listing *scopedlist.Listing,
	metrics *podmetrics.Metrics,
	meta *dashboardv1alpha1.Meta,
) (envelope.Pieces, error) {
	viewed := o.view.needsWholeList() || listing.Partial
	if !viewed { // the cluster has selected the page
		o.view.limit = 0
	}
	kept := &selection{view: o.view, account: budget.AccountFrom(ctx)}
	page, err := o.visitObjects(listing, metrics, meta, kept.add)
	if err == nil {
		err = o.view.order.check(t.Resource, kept.found, kept.hasSortField)
	}
	if err != nil {
		return nil, err
	}
	if viewed {
		err = kept.page(meta)
	} else {
		kept.sort()
		o.count(page, meta)
	}
	if err == nil && metrics != nil && !o.table {
		err = kept.addMetrics(metrics)
	}
	return kept.pieces(), err
}

func (o *listOptions) count(page objects.Page, meta *dashboardv1alpha1.Meta) {
	meta.Continue = page.Continue
	if o.query.Get(queryContinue) == "" {
		meta.Total = page.Total()
	}
}

// guessField sets envelope.Error.Field if kube-apiserver has rejected an invalid query parameter. The error of
// kube-apiserver does not name the parameter. Therefore, guessField uses the most likely parameter.
func guessField(err error, query url.Values) error {
	e, ok := errors.AsType[*envelope.Error](err)
	if !ok || e.Code != dashboardv1alpha1.CodeInvalid || e.Field != "" {
		return err
	}
	// kube-apiserver checks the parameters in this order.
	for _, name := range []string{queryContinue, queryFieldSelector, queryLabelSelector, queryLimit} {
		if query.Has(name) {
			e.Field = name
			break
		}
	}
	return e
}

func readListOptions(r *routes.Request) (listOptions, error) {
	o := listOptions{query: url.Values{}, encoded: r.URL.Query().Encode()}
	if err := o.readSelectors(r); err != nil {
		return o, err
	}
	limit, err := readLimit(r)
	if err != nil {
		return o, err
	}
	if o.view, err = readView(r, limit); err != nil {
		return o, err
	}
	if !o.view.needsWholeList() {
		if limit > 0 {
			o.query.Set(queryLimit, strconv.FormatInt(limit, 10))
		}
		if value := r.Query(queryContinue); value != "" {
			o.query.Set(queryContinue, value)
		}
	}
	if reveal, err := flag(r, queryReveal); err != nil || reveal {
		return o, envelope.Invalid(queryReveal, "a list does not reveal the values of Secrets: get a single Secret")
	}
	if o.live, err = wantsLive(r); err != nil {
		return o, err
	}
	if o.table, err = wantsTable(r); err != nil {
		return o, err
	}
	o.metrics, err = flag(r, queryMetrics)
	return o, err
}

// wantsLive returns true if the read cache must not be used. It returns an error for an unknown value of querySource.
func wantsLive(r *routes.Request) (bool, error) {
	switch r.Query(querySource) {
	case "":
		return false, nil
	case sourceLive:
		return true, nil
	default:
		return false, envelope.Invalid(querySource, "source must be %s, or absent", sourceLive)
	}
}

func (o *listOptions) readSelectors(r *routes.Request) error {
	if value := r.Query(queryLabelSelector); value != "" {
		if _, err := labels.Parse(value); err != nil {
			return envelope.Invalid(queryLabelSelector, "labelSelector: %s", err.Error())
		}
		o.query.Set(queryLabelSelector, value)
	}
	if value := r.Query(queryFieldSelector); value != "" {
		if _, err := fields.ParseSelector(value); err != nil {
			return envelope.Invalid(queryFieldSelector, "fieldSelector: %s", err.Error())
		}
		o.query.Set(queryFieldSelector, value)
	}
	return nil
}

func readLimit(r *routes.Request) (int64, error) {
	value := r.Query(queryLimit)
	if value == "" {
		return 0, nil
	}
	limit, err := strconv.ParseInt(value, 10, 32)
	if err != nil || limit < 0 {
		return 0, envelope.Invalid(queryLimit, "limit must be a non-negative integer")
	}
	return limit, nil
}
