// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// ranked is an object of the read cache with its sort key.
type ranked struct {
	object *readcache.Object
	key    sortKey
}

// rankedBytes is the additional memory for each object in a list that is sorted or searched, in bytes. The JSON and the
// sort key of the object are counted separately.
const rankedBytes = 64

func (q *cachedQuery) addViewPage(
	ctx context.Context, groups readcache.Groups, body *cachedBody, meta *dashboardv1alpha1.Meta,
) error {
	v, account := &q.listOptions.view, budget.AccountFrom(ctx)
	var found []ranked
	hasSortField := false
	for g := range groups.All() {
		if err := ctx.Err(); err != nil {
			return envelope.Late(err)
		}
		for _, o := range q.matching(g.Objects) {
			if v.search != "" && !v.finds(o) {
				continue
			}
			r := ranked{object: o}
			if v.order.isSet() {
				var err error
				if r.key, err = v.order.cachedKey(o, account); err != nil {
					return err
				}
				hasSortField = hasSortField || r.key.class != classMissing
			}
			if err := account.Take(rankedBytes + r.key.bytes()); err != nil {
				return fmt.Errorf("sorting objects: %w", err)
			}
			found = append(found, r)
		}
	}
	if err := v.order.check(q.target.Resource, len(found), hasSortField); err != nil {
		return err
	}
	if v.order.isSet() {
		slices.SortStableFunc(found, func(a, b ranked) int { return v.order.compare(a.key, b.key) })
	}
	return q.addPage(found, body, meta)
}

// addPage adds the objects of the current page to body, and sets the total and the token of the next page in meta.
// found contains the objects of all pages.
func (q *cachedQuery) addPage(found []ranked, body *cachedBody, meta *dashboardv1alpha1.Meta) error {
	v := &q.listOptions.view
	meta.Total = new(int64(len(found)))
	begin, end := min(v.offset, len(found)), len(found)
	if v.limit > 0 && end-begin > v.limit {
		end = begin + v.limit
		var err error
		if meta.Continue, err = v.next(end); err != nil {
			return err
		}
	}
	page := make([]*readcache.Object, 0, end-begin)
	for _, r := range found[begin:end] {
		page = append(page, r.object)
	}
	body.addObjects(page)
	return nil
}

// finds returns true if the name, the namespace or a label of o contains the search text. Case is ignored.
func (v *view) finds(o *readcache.Object) bool {
	contains := func(text string) bool { return strings.Contains(strings.ToLower(text), v.search) }
	if contains(o.Name) || contains(o.Namespace) {
		return true
	}
	return slices.ContainsFunc(o.Labels, func(l readcache.Label) bool { return contains(l.Key + "=" + l.Value) })
}

// cachedKey returns the sort key of item. If objects are sorted by name or namespace, cachedKey uses the value in the
// read cache, and does not parse the JSON of the object.
func (o *order) cachedKey(item *readcache.Object, account *budget.Account) (sortKey, error) {
	if o.derived == nil && len(o.path) == 2 && o.path[0] == "metadata" {
		switch {
		case o.path[1] == "name":
			return textKey(item.Name), nil
		case o.path[1] == "namespace" && item.Namespace != "":
			return textKey(item.Namespace), nil
		}
	}
	return o.key(item, account)
}
