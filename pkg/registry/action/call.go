// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// maxCalls bounds the number of concurrent calls to the cluster that one request of a client causes.
const maxCalls = 8

// read gets the target from the cluster and decodes it to object, which must be a pointer.
func read(ctx context.Context, caller *clusters.Client, t objectref.Target, object any) error {
	body, err := caller.Get(ctx, t.Resource, t.Namespace, t.Name, nil)
	if err := authorization.CallError(ctx, caller, t.Attributes("get"), err); err != nil {
		return err
	}
	return objects.Read(body, budget.AccountFrom(ctx), object)
}

// list requests a list from the cluster, and decodes each object to the type T. The memory of the objects counts
// towards the memory limit of the request. If an object is too large to be decoded, list calls omit() and continues. If
// omit is nil, list returns an error instead.
func list[T any](
	ctx context.Context, caller *clusters.Client, t objectref.Target, query url.Values, omit objects.Omit,
) ([]T, error) {
	body, err := caller.Get(ctx, t.Resource, t.Namespace, "", query)
	if err := authorization.CallError(ctx, caller, t.Attributes("list"), err); err != nil {
		return nil, err
	}
	account := budget.AccountFrom(ctx)
	var out []T
	err = objects.Each(body, account, omit, func(o *T) error {
		out = append(out, *o)
		return objects.HoldItem(account, o)
	})
	return out, err
}

// change is a patch of an object or subresource.
type change struct {
	// subresource is the name of the patched subresource. It is empty for the object itself.
	subresource string
	kind        types.PatchType
	body        any
	query       url.Values
}

// patch sends c to the cluster as a PATCH of t.
func patch(ctx context.Context, caller *clusters.Client, t objectref.Target, c change) (clusters.Response, error) {
	encoded, err := json.Marshal(c.body)
	if err != nil {
		return clusters.Response{}, fmt.Errorf("encoding a patch: %w", err)
	}
	call := t.Call(http.MethodPatch)
	call.Subresource, call.Query, call.ContentType, call.Body = c.subresource, c.query, string(c.kind), encoded
	answer, err := caller.Do(ctx, call)
	attributes := t.Attributes("patch")
	attributes.Subresource = c.subresource
	return answer, authorization.CallError(ctx, caller, attributes, err)
}

// remove deletes t. The garbage collector of the cluster then deletes objects with owner references to t.
func remove(ctx context.Context, caller *clusters.Client, t objectref.Target) (clusters.Response, error) {
	call := t.Call(http.MethodDelete)
	// kubectl uses the same policy. The default policy of some kinds would orphan the dependents instead.
	call.Query = url.Values{"propagationPolicy": {"Background"}}
	answer, err := caller.Do(ctx, call)
	return answer, authorization.CallError(ctx, caller, t.Attributes("delete"), err)
}

// object is a JSON object in a patch.
type object = map[string]any
