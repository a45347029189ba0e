// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"fmt"
	"net/http"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// maxItems bounds the number of items in a batch.
const maxItems = 100

// item is one item of a batch. If err is not nil, the target was not found.
type item struct {
	target objectref.Target
	err    error
}

// itemReference identifies the target of a batch item.
type itemReference struct {
	// kindField is the name of the request field with the kind, for error messages.
	kindField string

	kind, namespace, name string
	// verb is the verb that the resource of the target must support.
	verb string
	// check returns an error if the batch action does not support the target.
	check func(objectref.Target) error
}

func batchDelete(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	named, items, err := readBatch(r, caller, func(i dashboardv1alpha1.BatchDeleteItem) itemReference {
		return itemReference{
			kindField: "resource", kind: i.Resource, namespace: i.Namespace, name: i.Name, verb: "delete",
			check: func(objectref.Target) error { return nil },
		}
	})
	if err != nil {
		return routes.Result{}, err
	}
	if err := requireFreshCode(r.Context(), caller, items,
		func(objectref.Target) string { return http.MethodDelete }); err != nil {
		return routes.Result{}, err
	}
	out := make([]dashboardv1alpha1.BatchDeleteResult, len(items))
	warnings := make([][]string, len(items))
	err = fanout.Each(r.Context(), len(items), maxCalls, func(ctx context.Context, i int) error {
		outcome := items[i].do(ctx, func(t objectref.Target) error {
			answer, err := remove(ctx, caller, t)
			warnings[i] = answer.Warnings
			return err
		})
		out[i] = dashboardv1alpha1.BatchDeleteResult{BatchDeleteItem: named[i], BatchOutcome: outcome}
		return nil
	})
	return results(out, warnings), err
}

func batchRestart(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
	named, items, err := readBatch(r, caller, func(i dashboardv1alpha1.BatchRestartItem) itemReference {
		return itemReference{kindField: "kind", kind: i.Kind, namespace: i.Namespace, name: i.Name, verb: "get",
			check: checkRestart}
	})
	if err != nil {
		return routes.Result{}, err
	}
	if err := requireFreshCode(r.Context(), caller, items, restartMethod); err != nil {
		return routes.Result{}, err
	}
	out := make([]dashboardv1alpha1.BatchRestartResult, len(items))
	warnings := make([][]string, len(items))
	err = fanout.Each(r.Context(), len(items), maxCalls, func(ctx context.Context, i int) error {
		outcome := items[i].do(ctx, func(t objectref.Target) (err error) {
			warnings[i], err = restartTarget(ctx, caller, t)
			return err
		})
		out[i] = dashboardv1alpha1.BatchRestartResult{BatchRestartItem: named[i], BatchOutcome: outcome}
		return nil
	})
	return results(out, warnings), err
}

// requireFreshCode checks all changes of a batch before the first change. It returns an error if a change requires a
// one-time code of the caller's second factor, and the request contains no valid code. methodOf returns the HTTP method
// that changes a target.
func requireFreshCode(
	ctx context.Context, caller *clusters.Client, items []item, methodOf func(objectref.Target) string,
) error {
	for i := range items {
		if items[i].err != nil {
			continue
		}
		if err := caller.Prove(ctx, items[i].target.Call(methodOf(items[i].target))); err != nil {
			return err
		}
	}
	return nil
}

func results[T any](out []T, warnings [][]string) routes.Result {
	meta := dashboardv1alpha1.Meta{Total: new(int64(len(out)))}
	for _, w := range warnings {
		meta.Warnings = append(meta.Warnings, w...)
	}
	return routes.Result{Data: out, Meta: meta}
}

// do calls action() with the target of the item. It converts an error to an outcome, because a returned error would end
// the whole batch.
func (i *item) do(ctx context.Context, action func(objectref.Target) error) dashboardv1alpha1.BatchOutcome {
	err := i.err
	if err == nil {
		err = fanout.Safely(ctx, func() error { return action(i.target) })
	}
	if err == nil {
		return dashboardv1alpha1.BatchOutcome{Success: true}
	}
	known := envelope.As(err)
	return dashboardv1alpha1.BatchOutcome{Code: known.Code, Error: known.Message}
}

// readBatch decodes the items in the request body, and finds the target object of each item.
func readBatch[T any](
	r *routes.Request, caller *clusters.Client, referenceOf func(T) itemReference,
) ([]T, []item, error) {
	var named []T
	if err := r.ReadJSON(&named); err != nil {
		return nil, nil, err
	}
	if len(named) == 0 {
		return nil, nil, envelope.Required("body")
	}
	if len(named) > maxItems {
		return nil, nil, envelope.Invalid("body", "there are %d items, and at most %d may be sent at once", len(named),
			maxItems)
	}
	items := make([]item, 0, len(named))
	for i := range named {
		found, err := referenceOf(named[i]).find(r.Context(), caller, fmt.Sprintf("[%d]", i))
		if err != nil { // One malformed item rejects the whole batch.
			return nil, nil, err
		}
		items = append(items, found)
	}
	return named, items, nil
}

// find returns the item with its target. If the target does not exist, find stores the error in the item, and the batch
// continues. find returns an error if the item is malformed or if the lookup has failed. In errors, the names of fields
// begin with the given prefix.
func (n itemReference) find(ctx context.Context, caller *clusters.Client, prefix string) (item, error) {
	for _, field := range []struct{ name, value string }{{n.kindField, n.kind}, {"name", n.name}} {
		if field.value == "" {
			return item{}, envelope.Required(prefix + "." + field.name)
		}
	}
	t, err := objectref.Find(ctx, caller, n.verb, n.kind, n.namespace, n.name)
	if err == nil {
		err = t.CheckNamespaced()
	}
	if err == nil {
		err = n.check(t)
	}
	if err == nil {
		return item{target: t}, nil
	}
	known := envelope.As(err)
	if known.Code == dashboardv1alpha1.CodeNotFound {
		return item{err: known}, nil
	}
	if known.Field != "" {
		field := known.Field
		if field == objectref.Resource {
			field = n.kindField
		}
		known.Field, known.Message = prefix+"."+field, prefix+" "+known.Message
	}
	return item{}, known
}
