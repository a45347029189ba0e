// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"context"
	"maps"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// Answer is the result of a list.
type Answer struct {
	// Bodies are lists in the encoding of the API server: one list, or for a partial answer one of each namespace, in
	// the order of Namespaces.
	Bodies [][]byte
	// Partial is true if the caller may not list the kind in all namespaces.
	Partial bool
	// Namespaces are the listed namespaces of a partial answer.
	Namespaces []string
}

// Meta returns the meta of the envelope.
func (a Answer) Meta() dashboardv1alpha1.Meta {
	return dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer, Partial: a.Partial, Namespaces: a.Namespaces}
}

// Objects returns the objects of all bodies.
func (a Answer) Objects(r clusters.Resource) (objects.List, error) {
	if len(a.Bodies) == 1 {
		return objects.DecodeList(a.Bodies[0], r)
	}
	all := objects.List{Items: []objects.Object{}}
	for _, body := range a.Bodies {
		page, err := objects.DecodeList(body, r)
		if err != nil {
			return objects.List{}, err
		}
		all.Items = append(all.Items, page.Items...)
	}
	return all, nil
}

// Items decodes the objects of all bodies to a small type.
func Items[T any](ctx context.Context, a Answer) ([]T, error) {
	var all []T
	for _, body := range a.Bodies {
		items, err := objects.Items[T](body, budget.From(ctx))
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = items
		} else {
			all = append(all, items...)
		}
	}
	return all, nil
}

// List lists a collection as the caller: in one call if the target has a namespace, its kind is in none, or the caller
// may list it everywhere. Otherwise it lists the namespaces that the caller may read, whole: limit and continue are of
// one list, and do not count there. Of Namespaces it gives those that the caller may read. A caller who may list the
// kind nowhere gets the error that the first call ended with, which has its code.
func (c *Caller) List(ctx context.Context, t objectref.Target, query url.Values) (Answer, error) {
	answer, err := c.list(ctx, t, query, "")
	return answer, authorization.Outcome(ctx, c.Caller, t.Attributes("list"), err)
}

// Visible is like List, for views of several kinds, with a choice of the media type. If the caller may list the kind in
// no namespace, it returns no bodies and no error.
func (c *Caller) Visible(ctx context.Context, t objectref.Target, query url.Values, accept string) (Answer, error) {
	answer, err := c.list(ctx, t, query, accept)
	if apierrors.IsForbidden(err) {
		return Answer{Partial: true}, nil
	}
	if err != nil {
		return Answer{}, envelope.FromAPIError(err)
	}
	return answer, nil
}

func (c *Caller) list(ctx context.Context, t objectref.Target, query url.Values, accept string) (Answer, error) {
	call := t.Call("")
	call.Query, call.Accept = query, accept
	answer, err := c.Do(ctx, call)
	if err == nil {
		return Answer{Bodies: [][]byte{answer.Body}}, nil
	}
	return c.instead(ctx, call, err)
}

// instead lists the namespaces that the caller may read, if a list of all namespaces was forbidden. A list of
// Namespaces gives these namespaces themselves.
func (c *Caller) instead(ctx context.Context, call clusters.Call, err error) (Answer, error) {
	list := c.everyNamespace
	switch {
	case !apierrors.IsForbidden(err) || call.Namespace != "":
		return Answer{}, err
	case isNamespaces(call.Resource):
		list = c.ownNamespaces
	case !call.Resource.Namespaced:
		return Answer{}, err
	}
	found, nested := list(ctx, call)
	if nested != nil {
		return Answer{}, nested
	}
	if len(found.Namespaces) == 0 {
		return Answer{}, err
	}
	return found, nil
}

// everyNamespace lists the namespaces that the caller may read, without those in which the caller may not list the
// kind.
func (c *Caller) everyNamespace(ctx context.Context, call clusters.Call) (Answer, error) {
	namespaces, err := c.Namespaces(ctx)
	if err != nil {
		return Answer{}, err
	}
	call.Query = maps.Clone(call.Query)
	call.Query.Del("limit")
	call.Query.Del("continue")
	bodies := make([][]byte, len(namespaces))
	err = fanout.Each(ctx, len(namespaces), CallsAtOnce, func(ctx context.Context, i int) error {
		one := call
		one.Namespace = namespaces[i]
		answer, err := c.Do(ctx, one)
		if apierrors.IsForbidden(err) {
			return nil
		}
		bodies[i] = answer.Body
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	return partial(namespaces, bodies), nil
}
