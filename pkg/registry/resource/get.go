// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// reviewRead returns a client for the cluster in the path. It returns an error if the caller may not use the cluster.
// It also returns an error for a request for the values of a Secret, unless the request contains a valid one-time code
// of the caller's second factor.
func (e *Provider) reviewRead(r *routes.Request, u user.Info) (*scopedlist.Client, error) {
	reveal, err := flag(r, queryReveal)
	if err != nil {
		return nil, err
	}
	if reveal {
		if err := stepup.Require(r.Context()); err != nil {
			return nil, err
		}
	}
	return e.Access.Cluster(r, u)
}

func (e *Provider) get( //nolint:gocyclo // one option after the other
	r *routes.Request, caller *scopedlist.Client,
) (routes.Result, error) {
	t, err := objectref.ReadObject(r, caller.Client, "get")
	if err != nil {
		return routes.Result{}, err
	}
	reveal := r.Query(queryReveal) == "true"
	if reveal && !objects.IsSecret(t.Resource) {
		return routes.Result{}, envelope.Invalid(queryReveal, "there is nothing to reveal: only Secrets are masked")
	}
	metrics, err := flag(r, queryMetrics)
	if err != nil {
		return routes.Result{}, err
	}
	live, err := wantsLive(r)
	if err != nil {
		return routes.Result{}, err
	}
	if !live && !metrics && !reveal {
		if result, ok, err := cachedObject(r.Context(), caller, t); ok || err != nil {
			return result, err
		}
	}
	body, err := caller.Get(r.Context(), t.Resource, t.Namespace, t.Name, nil)
	if err := authorization.CallError(r.Context(), caller.Client, t.Attributes("get"), err); err != nil {
		return routes.Result{}, err
	}
	decode := objects.Decode
	if reveal {
		e.Audit.Record(r.Context(), audit.Event{
			Reason: audit.SecretRevealed, Actor: caller.User().GetName(),
			Detail: caller.Cluster() + "/" + t.Namespace + "/" + t.Name,
		})
		decode = objects.DecodeRevealed
	}
	object, err := decode(body, t.Resource)
	if err != nil {
		return routes.Result{}, err
	}
	if metrics && isPods(t) {
		if err := podmetrics.Read(r.Context(), caller, t).AddTo(object); err != nil {
			return routes.Result{}, err
		}
	}
	encoded, err := object.Encode()
	return routes.Result{
		Data: envelope.Raw(encoded),
		Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer},
	}, err
}

// cachedObject returns the object t from the read cache. It returns false if the object must be requested from the
// cluster.
func cachedObject(ctx context.Context, caller *scopedlist.Client, t objectref.Target) (routes.Result, bool, error) {
	found, meta, ok, err := caller.CachedObject(ctx, t)
	if err != nil || !ok || found == nil { // the cluster returns the error for an object that does not exist
		return routes.Result{}, false, err
	}
	// The object counts towards the memory limit of the request. A slow client may keep the object in memory long after
	// the cache has replaced the object.
	if err := budget.AccountFrom(ctx).Take(int64(len(found.JSON))); err != nil {
		return routes.Result{}, false, envelope.OutOfMemory(err)
	}
	return routes.Result{Data: envelope.Raw(found.JSON), Meta: meta, Tag: objectTag(caller, t, found)}, true, nil
}

func isPods(t objectref.Target) bool {
	return t.Resource.Group == "" && t.Resource.GroupVersionResource.Resource == "pods"
}
