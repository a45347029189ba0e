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

// Result contains the objects of a list, either in Bodies or in Cached.
type Result struct {
	// Bodies contains the responses of the API server: one list or, if Partial is true, one list for each of
	// Namespaces.
	Bodies [][]byte
	// Cached contains the objects if they come from the read cache, or is nil.
	Cached *Cached
	// Partial is true if the cluster has denied the caller a list of the whole cluster. The Result then contains only
	// objects in the namespaces that the field Namespaces contains.
	Partial bool
	// Namespaces contains the namespaces whose objects were listed, if Partial is true. Otherwise, it is nil.
	Namespaces []string
	// Omitted records the objects that the function Items omits, because they are too large. If Omitted is nil, Items
	// returns an error for such an object.
	Omitted *Omissions
}

// Meta returns the metadata for a response that contains the objects of the Result. The warnings name the objects that
// are in a.Omitted at the time of the call.
func (a Result) Meta() dashboardv1alpha1.Meta {
	if a.Cached != nil {
		meta := a.Cached.Meta()
		meta.Warnings = a.Omitted.warnings()
		return meta
	}
	return dashboardv1alpha1.Meta{
		Source:     dashboardv1alpha1.SourceAPIServer,
		Partial:    a.Partial,
		Namespaces: a.Namespaces,
		Warnings:   a.Omitted.warnings(),
	}
}

// Objects decodes the objects in Bodies. It ignores the objects in Cached.
func (a Result) Objects(r clusters.Resource) (objects.List, error) {
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

// Count returns the number of objects without decoding them.
func (a Result) Count() (int64, error) {
	if a.Cached != nil {
		return int64(a.Cached.Count()), nil
	}
	var all int64
	for _, body := range a.Bodies {
		n, err := objects.Count(body)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// Items decodes the objects in a.Bodies or a.Cached to T. To save memory, T should be a type with few fields.
func Items[T any](ctx context.Context, a Result) ([]T, error) {
	var all []T
	if a.Cached != nil {
		return cachedItems[T](ctx, a.Cached, a.Omitted)
	}
	for _, body := range a.Bodies {
		items, err := objects.Items[T](body, budget.AccountFrom(ctx), a.Omitted.omit())
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

// List lists the objects of t as the caller. If t has no namespace and the cluster denies the list, List continues with
// narrower requests:
//   - For a namespaced kind, it lists the objects in each namespace whose Namespace object the caller may get. It
//     ignores the query parameters limit and continue.
//   - For Namespaces, it returns the Namespaces that the caller may get.
//
// If these requests find nothing, List returns the error of the first request.
func (c *Client) List(ctx context.Context, t objectref.Target, query url.Values) (Result, error) {
	answer, err := c.list(ctx, t, query, "")
	return answer, authorization.CallError(ctx, c.Client, t.Attributes("list"), err)
}

// ListCached lists the objects of t as the caller. It reads them from the read cache if possible, and otherwise from
// the cluster.
func (c *Client) ListCached(ctx context.Context, t objectref.Target) (Result, error) {
	if answer, ok, err := c.cachedResult(ctx, t); ok || err != nil {
		return answer, err
	}
	return c.List(ctx, t, nil)
}

// cachedResult returns the objects of t from the read cache. It returns false if they must be requested from the
// cluster.
func (c *Client) cachedResult(ctx context.Context, t objectref.Target) (Result, bool, error) {
	found, ok, err := c.Cached(ctx, t)
	if err != nil || !ok {
		return Result{}, false, err
	}
	return Result{
		Cached: found, Partial: found.Partial, Namespaces: found.Namespaces,
		Omitted: newOmissions(t.Resource.GroupVersionResource.Resource),
	}, true, nil
}

// ListVisible lists the objects of t as the caller, in the given media type. If the cluster denies the list in every
// namespace, ListVisible returns a Result without objects instead of an error.
func (c *Client) ListVisible(
	ctx context.Context, t objectref.Target, query url.Values, mediaType string,
) (Result, error) {
	answer, err := c.list(ctx, t, query, mediaType)
	if apierrors.IsForbidden(err) {
		return Result{Partial: true}, nil
	}
	if err != nil {
		return Result{}, envelope.FromAPIError(err)
	}
	return answer, nil
}

func (c *Client) list(ctx context.Context, t objectref.Target, query url.Values, accept string) (Result, error) {
	call := t.Call("")
	call.Query, call.Accept = query, accept
	answer, err := c.Do(ctx, call)
	out := Result{Bodies: [][]byte{answer.Body}}
	if err != nil {
		out, err = c.listByNamespace(ctx, call, err)
	}
	if out.Omitted == nil {
		out.Omitted = newOmissions(t.Resource.GroupVersionResource.Resource)
	}
	return out, err
}

// listByNamespace is the fallback after a list of the whole cluster has failed with the error err. If err is Forbidden,
// it sends narrower requests:
//   - For a namespaced kind, it lists the objects in each namespace whose Namespace object the caller may get.
//   - For Namespaces, it gets each Namespace that the caller may get.
//
// listByNamespace returns err if no narrower request is possible, or if the narrower requests find nothing.
func (c *Client) listByNamespace(ctx context.Context, request clusters.Call, err error) (Result, error) {
	list := c.listEachNamespace
	switch {
	case !apierrors.IsForbidden(err) || request.Namespace != "":
		return Result{}, err
	case isNamespaces(request.Resource):
		list = c.getEachNamespace
	case !request.Resource.Namespaced:
		return Result{}, err
	}
	found, nested := list(ctx, request)
	if nested != nil {
		return Result{}, nested
	}
	if len(found.Namespaces) == 0 {
		return Result{}, err
	}
	return found, nil
}

// listEachNamespace sends one list request for each namespace that c.Namespaces returns. It omits namespaces in which
// the caller may not list the objects.
func (c *Client) listEachNamespace(ctx context.Context, call clusters.Call) (Result, error) {
	namespaces, err := c.Namespaces(ctx)
	if err != nil {
		return Result{}, err
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
		return Result{}, err
	}
	return partialResult(namespaces, bodies), nil
}
