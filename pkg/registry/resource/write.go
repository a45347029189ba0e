// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// write is a validated request to write one object to a cluster.
type write struct {
	objectref.Target

	call clusters.Call
	// verbs contains the RBAC verbs that the cluster requires for the write.
	verbs []string
	// confidential contains the values in the request body that must not be in messages.
	confidential []string
}

// prepare returns the write that a request describes, or an error if the request is not valid.
type prepare func(*routes.Request, *clusters.Client) (*write, error)

func (e *Provider) writeEndpoint(prepared prepare) routes.Endpoint {
	return routes.Reviewed(e.Access.Cluster, func(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
		w, err := prepared(r, caller.Client)
		if err != nil {
			return routes.Result{}, err
		}
		switch value := r.Query(queryDryRun); value {
		case "":
		case metav1.DryRunAll:
			w.call.Query.Set(queryDryRun, value)
		default:
			return routes.Result{}, envelope.Invalid(queryDryRun, "dryRun must be %s, or left out", metav1.DryRunAll)
		}
		answer, err := w.do(r.Context(), caller.Client)
		if err != nil {
			return routes.Result{}, err
		}
		data, err := w.result(answer.Body)
		return routes.Result{
			Data: data,
			Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer, Warnings: answer.Warnings},
		}, err
	})
}

// do sends the write to the cluster. It removes confidential values from the warnings and from the error.
func (w *write) do(ctx context.Context, caller *clusters.Client) (clusters.Response, error) {
	answer, err := caller.Do(ctx, w.call)
	if err == nil {
		answer.Warnings, err = redactWarnings(ctx, answer.Warnings, w.confidential)
		return answer, err
	}
	outcome := err
	for _, verb := range w.verbs {
		outcome = authorization.CallError(ctx, caller, w.Attributes(verb), err)
		// CodeRejected means that RBAC allows this verb. The loop continues, because RBAC may still deny another verb
		// that the write requires.
		if envelope.As(outcome).Code != dashboardv1alpha1.CodeRejected {
			break
		}
	}
	return clusters.Response{}, setField(withhold(ctx, outcome, w.confidential))
}

// result decodes body, the response to the write. It returns nil if body is a Status. API servers respond to some
// deletions with a Status.
func (w *write) result(body []byte) (any, error) {
	var head metav1.TypeMeta
	if err := json.Unmarshal(body, &head); err == nil && head.Kind == "Status" && head.APIVersion == "v1" {
		return nil, nil //nolint:nilnil // a deletion has nothing to show
	}
	return present(objects.Decode(body, w.Resource))
}

func present(o objects.Object, err error) (envelope.Raw, error) {
	if err != nil {
		return nil, err
	}
	return o.Encode()
}

// writeQuery returns the query parameters of each write. They set the field manager, and the strict field validation.
// The strict field validation makes API servers reject unknown fields.
func writeQuery() url.Values {
	return url.Values{"fieldManager": {names.UserFieldManager}, "fieldValidation": {metav1.FieldValidationStrict}}
}

func prepareCreate(r *routes.Request, caller *clusters.Client) (*write, error) {
	t, object, err := readManifest(r, caller, "create")
	if err != nil {
		return nil, err
	}
	if err := object.requireName(); err != nil {
		return nil, err
	}
	if version, ok := object.metadata()["resourceVersion"]; ok && version != "" && version != nil {
		const field = "metadata.resourceVersion"
		return nil, envelope.Invalid(field, "%s must be left out of an object that is to be created", field)
	}
	if objects.IsSecret(t.Resource) {
		if err := object.checkNewSecret(); err != nil {
			return nil, err
		}
	}
	return object.newWrite(t, http.MethodPost, "create")
}

func prepareReplace(r *routes.Request, caller *clusters.Client) (*write, error) {
	t, object, err := readManifest(r, caller, "update")
	if err != nil {
		return nil, err
	}
	if object.metadata()["resourceVersion"] == nil || object.metadata()["resourceVersion"] == "" {
		e := envelope.Required("metadata.resourceVersion")
		e.Message += ": change the object that you have read, so that the changes of other users are not lost"
		return nil, e
	}
	if objects.IsSecret(t.Resource) {
		if err := object.restore(r.Context(), caller, t); err != nil {
			return nil, err
		}
	}
	return object.newWrite(t, http.MethodPut, "update")
}

func prepareDelete(r *routes.Request, caller *clusters.Client) (*write, error) {
	t, err := objectref.ReadObject(r, caller, "delete")
	if err != nil {
		return nil, err
	}
	w := &write{Target: t, call: t.Call(http.MethodDelete), verbs: []string{"delete"}}
	policy := metav1.DeletionPropagation(r.Query(queryPropagation))
	switch policy {
	case "": // as in kubectl, because the default of the API server would leave the Pods of a Job
		policy = metav1.DeletePropagationBackground
	case metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan:
	default:
		return nil, envelope.Invalid(queryPropagation, "propagationPolicy must be Background, Foreground or Orphan")
	}
	w.call.Query = url.Values{queryPropagation: {string(policy)}}
	if value := r.Query(queryGracePeriod); value != "" {
		seconds, err := strconv.ParseInt(value, 10, 32)
		if err != nil || seconds < 0 {
			return nil, envelope.Invalid(
				queryGracePeriod,
				"gracePeriodSeconds must be a non-negative integer",
			)
		}
		w.call.Query.Set(queryGracePeriod, strconv.FormatInt(seconds, 10))
	}
	return w, nil
}

// newWrite returns the request that writes the manifest to the object t. verbs are the RBAC verbs that the cluster
// requires for the request.
func (m manifestObject) newWrite(t objectref.Target, method string, verbs ...string) (*write, error) {
	body, err := objects.Encode(m)
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	w := &write{Target: t, call: t.Call(method), verbs: verbs}
	w.call.Query, w.call.Body = writeQuery(), body
	if objects.IsSecret(t.Resource) {
		w.confidential = m.secretValues()
	}
	return w, nil
}
