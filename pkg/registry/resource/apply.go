// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// maxApplied bounds the number of objects that one request may apply.
	maxApplied = 100
	// applyTime bounds the time for applying the objects of a request. After that time, the remaining objects are
	// skipped. It is shorter than the timeout of a request.
	applyTime = 50 * time.Second
	// maxApplyWarnings bounds the number of warnings in the response to an apply request.
	maxApplyWarnings = 64
)

func (e *Provider) applyRoute() routes.Route {
	const path = "/clusters/{cluster}/apply"
	return routes.Route{
		Method: http.MethodPost, Path: path, Operation: "applyObjects",
		Doc:   "apply up to 100 objects: YAML documents, or the items of a List, in the order of their dependencies",
		Reads: dashboardv1alpha1.Manifest{}, Returns: dashboardv1alpha1.ApplyEnvelope{},
		Parameters: documented(path, objectref.Namespace, queryForce, queryDryRun, authorization.ClusterParameter),
		Endpoint:   routes.Reviewed(e.Access.Cluster, apply),
	}
}

// apply executes a dry run of all objects, and then applies them. If one dry run is rejected, it applies no object.
func apply(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), applyTime, clusters.ErrImpatient)
	defer cancel()
	b, err := readBundle(ctx, r, caller.Client)
	if err != nil {
		return routes.Result{}, err
	}
	if err := b.tryAll(ctx); err != nil {
		return routes.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return routes.Result{}, envelope.FromAPIError(fmt.Errorf("dry run of the objects: %w", err))
	}
	if !b.dryRun {
		if err := b.prove(ctx); err != nil {
			return routes.Result{}, err
		}
		b.applyAll(ctx)
	}
	data := b.data()
	if data.Failed > 0 && data.Applied == 0 {
		return routes.Result{}, b.refused()
	}
	return routes.Result{Data: data, Meta: dashboardv1alpha1.Meta{
		Source: dashboardv1alpha1.SourceAPIServer, Total: new(int64(len(b.items))), Warnings: b.warnings(),
	}}, nil
}

// bundle contains the objects that one request applies. The objects are applied in stages. Each stage applies the
// objects of certain kinds, for example all Namespaces.
type bundle struct {
	caller *clusters.Client
	items  []*applied
	dryRun bool
}

// applied is one object of a bundle, with its result.
type applied struct {
	kind  schema.GroupKind
	write *write
	// stage is the index of the stage in which the object is applied. Each stage applies the objects of certain kinds,
	// for example all Namespaces.
	stage int
	// needsDefinition is true if the cluster does not serve the kind of the object yet. A CustomResourceDefinition in
	// the same bundle defines this kind.
	needsDefinition  bool
	dryRunAfterStage int

	// current is the stored object in JSON. It is nil if the object does not exist or the caller may not get it.
	current  []byte
	result   dashboardv1alpha1.ApplyResult
	warnings []string
	err      error
}

func (a *applied) setOutcome(operation dashboardv1alpha1.ApplyOperation, err error) {
	a.err, a.result.Operation = err, operation
	if err != nil {
		a.result.Operation = dashboardv1alpha1.ApplyFailed
	}
}

func (a *applied) deferDryRun(afterStage int) {
	// An error of an earlier dry run is removed, because the next dry run may succeed.
	a.err, a.dryRunAfterStage, a.result.Operation = nil, afterStage, dashboardv1alpha1.ApplyDeferred
}

func (a *applied) is(operation dashboardv1alpha1.ApplyOperation) bool {
	return a.result.Operation == operation
}

func (b *bundle) failed() bool {
	for _, a := range b.items {
		if a.err != nil {
			return true
		}
	}
	return false
}

// skipRest marks the objects of all stages after the given one as ApplySkipped, except objects with an error.
func (b *bundle) skipRest(stage int) {
	for _, a := range b.items {
		if a.stage > stage && a.err == nil {
			a.result.Operation = dashboardv1alpha1.ApplySkipped
		}
	}
}

func (b *bundle) data() dashboardv1alpha1.Apply {
	out := dashboardv1alpha1.Apply{DryRun: b.dryRun, Results: make([]dashboardv1alpha1.ApplyResult, 0, len(b.items))}
	for _, a := range b.items {
		switch {
		case a.err != nil:
			known := envelope.As(a.err)
			a.result.BatchOutcome = dashboardv1alpha1.BatchOutcome{Code: known.Code, Error: known.Message}
			out.Failed++
		case !a.is(dashboardv1alpha1.ApplySkipped) && !a.is(dashboardv1alpha1.ApplyDeferred):
			a.result.BatchOutcome = dashboardv1alpha1.BatchOutcome{Success: true}
			out.Applied++
		}
		out.Results = append(out.Results, a.result)
	}
	return out
}

// refused returns an envelope.Error for the first object that has failed. The field Data of this error contains the
// results of all objects, unless the code is CodeTwoFactorRequired.
func (b *bundle) refused() error {
	for i, a := range b.items {
		if a.err == nil {
			continue
		}
		first := *envelope.As(a.err)
		data := b.data()
		first.Message = fmt.Sprintf("%d of %d objects were refused and nothing was applied; [%d] %s %s: %s",
			data.Failed, len(b.items), i, a.kind.Kind, a.result.Name, first.Message)
		if first.Code != dashboardv1alpha1.CodeTwoFactorRequired { // clients expect other data with this code
			first.Data = data
		}
		if first.Field != "" {
			first.Field = fmt.Sprintf("[%d].%s", i, first.Field)
		}
		return &first
	}
	return nil
}

func (b *bundle) warnings() []string {
	var out []string
	for _, a := range b.items {
		for _, w := range a.warnings {
			if len(out) < maxApplyWarnings {
				out = append(out, w)
			}
		}
	}
	return out
}

// prove is called before the first write. A write may require a one-time code of the caller's second factor. In this
// case, prove returns an error if the request contains no valid code.
func (b *bundle) prove(ctx context.Context) error {
	for _, a := range b.items {
		if err := b.caller.Prove(ctx, a.write.call); err != nil {
			return err
		}
	}
	return nil
}

// readBundle decodes the objects of a request and finds their resources. It returns an error if one object is
// malformed.
func readBundle(ctx context.Context, r *routes.Request, caller *clusters.Client) (*bundle, error) {
	b := &bundle{caller: caller}
	force, err := flag(r, queryForce)
	if err != nil {
		return nil, err
	}
	switch value := r.Query(queryDryRun); value {
	case "":
	case metav1.DryRunAll:
		b.dryRun = true
	default:
		return nil, envelope.Invalid(queryDryRun, "dryRun must be %s, or left out", metav1.DryRunAll)
	}
	namespace := r.Query(objectref.Namespace)
	if namespace != "" {
		if err := routes.CheckLabel(objectref.Namespace, namespace); err != nil {
			return nil, err
		}
	}
	parsed, err := parseAll(r) //nolint:contextcheck // the request has it
	if err != nil {
		return nil, err
	}
	reader := bundleReader{
		caller: caller, defaultNamespace: namespace, force: force, defined: definedKinds(parsed),
		seen: map[string]int{},
	}
	for i, object := range parsed {
		a, err := reader.read(ctx, i, object)
		if err != nil {
			return nil, located(err, i)
		}
		b.items = append(b.items, a)
	}
	return b, nil
}

// located returns a copy of err in which the message begins with the index of the object, such as [3]. If the error
// names a field of the object, the name of the field also begins with the index.
func located(err error, i int) error {
	known := *envelope.As(err)
	prefix := fmt.Sprintf("[%d]", i)
	if known.Field != "" && !strings.HasPrefix(known.Field, "[") {
		known.Field = prefix + "." + known.Field
	}
	known.Message = prefix + " " + known.Message
	return &known
}
