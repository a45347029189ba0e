// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/diff"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/redaction"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// dryRunEndpoint returns an endpoint that executes a dry run of a write and shows its result. The caller needs the
// right to make the write. The current object is shown only to callers who may get it.
func (e *Provider) dryRunEndpoint(prepared prepare) routes.Endpoint {
	return routes.Reviewed(e.Access.Cluster, func(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
		w, err := prepared(r, caller.Client)
		if err != nil {
			return routes.Result{}, err
		}
		w.call.Query.Set(queryDryRun, metav1.DryRunAll)
		answer, err := w.do(r.Context(), caller.Client)
		refused, isRefused := errors.AsType[*envelope.Error](err)
		if isRefused = isRefused && refused.Code == dashboardv1alpha1.CodeRejected; err != nil && !isRefused {
			return routes.Result{}, err
		}
		data := dashboardv1alpha1.DryRun{
			Valid:    !isRefused,
			Errors:   []string{},
			Warnings: append([]string{}, answer.Warnings...),
		}
		current, err := w.current(r.Context(), caller.Client)
		if err != nil {
			return routes.Result{}, err
		}
		if data.Current, err = describeObject(r.Context(), current, nil, w.Resource); err != nil {
			return routes.Result{}, err
		}
		if isRefused {
			data.Errors = w.reasons(refused)
			if e.RefusedDryRunsAsData && r.Header.Get("Sec-Fetch-Site") == "same-origin" {
				meta := dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer, Warnings: answer.Warnings}
				return routes.Result{Data: data, Meta: meta}, nil
			}
			refused.Data = data
			return routes.Result{}, refused
		}
		if data.Proposed, err = describeObject(r.Context(), answer.Body, current, w.Resource); err != nil {
			return routes.Result{}, err
		}
		if current != nil {
			data.Diff, err = compare(current, answer.Body, data)
		}
		return routes.Result{
			Data: data,
			Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer, Warnings: answer.Warnings},
		}, err
	})
}

// current returns the stored object in JSON. It returns nil if the object does not exist or the caller may not get it.
func (w *write) current(ctx context.Context, caller *clusters.Client) ([]byte, error) {
	if w.Name == "" {
		return nil, nil
	}
	body, err := caller.Get(ctx, w.Resource, w.Namespace, w.Name, nil)
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, envelope.FromAPIError(err)
	default:
		return body, nil
	}
}

// describeObject decodes an object for the response to a dry run, and masks the values of a Secret. If otherVersion is
// not nil, the masks show which values differ from that version. A nil body results in nil.
func describeObject(
	ctx context.Context, body, otherVersion []byte, r clusters.Resource,
) (*dashboardv1alpha1.DryRunObject, error) {
	if body == nil {
		return nil, nil //nolint:nilnil // there is nothing to describe
	}
	if err := objects.HoldUntyped(body, budget.AccountFrom(ctx)); err != nil {
		return nil, envelope.OutOfMemory(err)
	}
	o, err := objects.DecodeBeside(body, otherVersion, r)
	if err != nil {
		return nil, err
	}
	metadata, err := o.Metadata()
	if err != nil {
		return nil, err
	}
	raw, err := o.Encode()
	return &dashboardv1alpha1.DryRunObject{
		APIVersion: r.GroupVersion().String(), Kind: r.Kind, Name: metadata.Name, Namespace: metadata.Namespace,
		Raw: runtime.RawExtension{Raw: raw},
	}, err
}

const maxCauses = 64

// reasons returns the reasons for which kube-apiserver has rejected the write, without confidential values.
func (w *write) reasons(refused *envelope.Error) []string {
	var status apierrors.APIStatus
	// Confidential values were removed only from the message, and not from the causes.
	if len(w.confidential) == 0 && errors.As(error(refused), &status) && status.Status().Details != nil {
		causes := status.Status().Details.Causes
		causes = causes[:min(len(causes), maxCauses)]
		reasons := make([]string, 0, len(causes))
		for _, cause := range causes {
			reason := cause.Message
			if cause.Field != "" {
				reason = cause.Field + ": " + reason
			}
			reasons = append(reasons, redaction.Cut(reason))
		}
		if len(reasons) > 0 {
			return reasons
		}
	}
	return []string{redaction.Cut(refused.Message)}
}

// compare returns the differences between current and proposed. The parameter masked contains the same objects with
// masked values of Secrets. The text of the differences quotes only the masked values.
func compare(current, proposed []byte, masked dashboardv1alpha1.DryRun) (*dashboardv1alpha1.Diff, error) {
	// The paths are computed from the unmasked objects, so that they also show which values of a Secret change.
	paths, err := diff.Paths(current, proposed)
	if err != nil {
		return nil, envelope.Internal(err)
	}
	unified, err := diff.Unified("current", masked.Current.Raw.Raw, "proposed", masked.Proposed.Raw.Raw)
	if err != nil {
		return nil, envelope.Internal(err)
	}
	return &dashboardv1alpha1.Diff{Unified: unified, Paths: paths}, nil
}
