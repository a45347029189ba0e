// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package overview serves an overview of a cluster. The overview contains the numbers and states of the objects that
// the caller may list, and the newest events. It also contains the requests, limits and usage of CPU and memory.
package overview

import (
	"context"
	"net/http"
	"slices"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters, and restricts lists to the namespaces that the caller may read.
	Access *scopedlist.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodGet, Path: "/clusters/{cluster}/overview", Operation: "getClusterOverview",
		Doc: "count the objects of a cluster that the caller may list", Returns: dashboardv1alpha1.OverviewEnvelope{},
		Endpoint: routes.Reviewed(p.Access.Cluster, get),
	}}
}

func get(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	all, use := &tally{}, &usage{}
	all.sum.RecentEvents = []dashboardv1alpha1.OverviewEvent{} // an empty list in JSON
	kinds := slices.Concat(all.workloadKinds(), all.storageKinds(), all.infrastructureKinds(),
		[]scopedlist.Kind{use.nodeMetricsKind()})
	meta, err := caller.Survey(r.Context(), "", kinds)
	if err != nil {
		return routes.Result{}, err
	}
	if meta.Partial && !use.known {
		// An error is ignored, because metrics are optional.
		_, _ = caller.Survey(r.Context(), "", []scopedlist.Kind{use.podMetricsKind()})
	}
	use.report(&all.sum.Resources)
	all.sum.RecentEvents = newest(all.sum.RecentEvents)
	return routes.Result{Data: all.sum, Meta: meta}, nil
}

// countedKind returns a scopedlist.Kind that counts the objects of a resource without decoding them. setCount receives
// the number of objects, and must store it in a field of the Overview.
func (t *tally) countedKind(resource string, setCount func(*dashboardv1alpha1.Overview, int64)) scopedlist.Kind {
	read := func(_ context.Context, _ clusters.Resource, a scopedlist.Result) error {
		part := &dashboardv1alpha1.Overview{}
		n, err := a.Count()
		setCount(part, n)
		t.add(part)
		return err //nolint:wrapcheck // it has its code
	}
	return scopedlist.Kind{Resource: resource, Accept: scopedlist.MetadataOnly, FromCache: true, Read: read}
}

// typedKind returns a scopedlist.Kind that adds the objects of a resource to the Overview in t. It decodes each object
// to the protobuf type T, and calls addObject to add the object. addObject must not retain the object.
func typedKind[T any, P interface {
	*T
	Unmarshal(data []byte) error
}](t *tally, resource string, addObject func(P, *dashboardv1alpha1.Overview),
) scopedlist.Kind {
	return partialKind(t, resource, func(o *T, out *dashboardv1alpha1.Overview) { addObject(o, out) }, addObject)
}

// partialKind returns a scopedlist.Kind that adds the objects of a resource to the Overview in t. It decodes objects of
// the read cache to C, and objects of an API server to T. The two functions must not retain the objects.
func partialKind[C, T any, P interface {
	*T
	Unmarshal(data []byte) error
}](t *tally, resource string, addCached func(*C, *dashboardv1alpha1.Overview),
	addObject func(P, *dashboardv1alpha1.Overview),
) scopedlist.Kind {
	read := func(ctx context.Context, _ clusters.Resource, a scopedlist.Result) error {
		part, account := &dashboardv1alpha1.Overview{}, budget.AccountFrom(ctx)
		if a.Cached != nil {
			options := addOptions{sum: part, account: account, omit: a.Omitted.Add}
			if err := addGroups(ctx, options, a.Cached.Groups, addCached); err != nil {
				return err
			}
		}
		for _, body := range a.Bodies {
			if err := each(body, account, a.Omitted.Add, func(o P) { addObject(o, part) }); err != nil {
				return err
			}
		}
		t.add(part)
		return nil
	}
	return scopedlist.Kind{Resource: resource, Accept: scopedlist.Protobuf, FromCache: true, Read: read}
}

func each[T any, P interface {
	*T
	Unmarshal(data []byte) error
}](body []byte, account *budget.Account, omit objects.Omit, look func(P),
) error {
	list, ok := objects.Protobuf(body)
	if !ok {
		return objects.Each(body, account, omit, func(o *T) error {
			look(o)
			return nil
		})
	}
	return objects.EachProtobuf(list, account, omit, func(item []byte) error {
		o := P(new(T))
		if err := o.Unmarshal(item); err != nil {
			return objects.Unreadable(err)
		}
		look(o)
		return nil
	})
}
