// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rolebindings serves KubeVisionRoleBindings to callers who manage them. The host cluster stores these objects.
// Each request to the host cluster is sent as the caller.
package rolebindings

import (
	"context"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	paramBinding = "binding"
	longestName  = 63
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Host is the host cluster, which stores the KubeVisionRoleBindings.
	Host *hostobjects.Host
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	parameters := map[string]string{paramBinding: "the name of the role binding"}
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/role-bindings", Operation: "listRoleBindings",
			Doc: "list the role bindings", Returns: dashboardv1alpha1.RoleBindingListEnvelope{},
			Endpoint: routes.AsCaller(e.Host.Connect, list),
		},
		{
			Method: http.MethodPost, Path: "/role-bindings", Operation: "createRoleBinding",
			Doc:   "grant a role",
			Reads: dashboardv1alpha1.CreateRoleBindingRequest{}, Returns: dashboardv1alpha1.RoleBindingEnvelope{},
			Endpoint: routes.AsCaller(e.Host.Connect, create),
		},
		{
			Method: http.MethodGet, Path: "/role-bindings/{binding}", Operation: "getRoleBinding",
			Parameters: parameters,
			Doc:        "show a role binding", Returns: dashboardv1alpha1.RoleBindingEnvelope{},
			Endpoint: routes.AsCaller(hostobjects.Named(paramBinding, e.Host.Connect), show),
		},
		{
			Method: http.MethodPut, Path: "/role-bindings/{binding}", Operation: "updateRoleBinding",
			Parameters: parameters,
			Doc:        "replace the grants of a role binding",
			Reads:      dashboardv1alpha1.UpdateRoleBindingRequest{}, Returns: dashboardv1alpha1.RoleBindingEnvelope{},
			Endpoint: routes.AsCaller(hostobjects.Named(paramBinding, e.Host.Connect), update),
		},
		{
			Method: http.MethodDelete, Path: "/role-bindings/{binding}", Operation: "deleteRoleBinding",
			Parameters: parameters,
			Doc:        "delete a role binding and its grants", Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.AsCaller(hostobjects.Named(paramBinding, e.Host.Connect), remove),
		},
	}
}

func list(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := a.List(r.Context(), &all); err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	out := make([]dashboardv1alpha1.RoleBinding, 0, len(all.Items))
	for i := range all.Items {
		out = append(out, describe(&all.Items[i]))
	}
	slices.SortFunc(out, func(a, b dashboardv1alpha1.RoleBinding) int { return strings.Compare(a.Name, b.Name) })
	return hostobjects.List(out), nil
}

func show(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	b, err := find(r.Context(), a, r.Path(paramBinding))
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: describe(b)}, nil
}

func notFound(name string) *envelope.Error {
	return envelope.New(dashboardv1alpha1.CodeNotFound, "there is no role binding %q", name)
}

func find(ctx context.Context, a *hostobjects.Client, name string) (*kubevisionv1alpha1.KubeVisionRoleBinding, error) {
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	err := a.Find(ctx, name, b, notFound(name))
	return b, err
}

func create(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	var body dashboardv1alpha1.CreateRoleBindingRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if err := routes.CheckSubdomain("name", body.Name); err != nil {
		return routes.Result{}, err
	}
	if len(body.Name) > longestName {
		return routes.Result{}, envelope.Invalid("name", "name: must be no more than %d characters", longestName)
	}
	if err := check(&body.RoleBindingSpec); err != nil {
		return routes.Result{}, err
	}
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{Spec: spec(&body.RoleBindingSpec)}
	b.Name = body.Name
	if err := a.Create(r.Context(), b); err != nil {
		return routes.Result{}, a.WriteError(r.Context(), err,
			hostobjects.Action("create", kubevisionv1alpha1.ResourceRoleBindings, ""))
	}
	return routes.Result{Data: describe(b)}, nil
}

func update(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	var body dashboardv1alpha1.UpdateRoleBindingRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if err := check(&body.RoleBindingSpec); err != nil {
		return routes.Result{}, err
	}
	ctx := r.Context()
	b, err := find(ctx, a, r.Path(paramBinding))
	if err != nil {
		return routes.Result{}, err
	}
	if err := hostobjects.CheckVersion(body.ResourceVersion, b); err != nil {
		return routes.Result{}, err
	}
	changed := b.DeepCopy()
	changed.Spec = spec(&body.RoleBindingSpec)
	if err := a.Patch(ctx, changed, hostobjects.PatchFrom(b, body.ResourceVersion)); err != nil {
		return routes.Result{}, a.WriteError(ctx, err,
			hostobjects.Action("patch", kubevisionv1alpha1.ResourceRoleBindings, b.Name))
	}
	return routes.Result{Data: describe(changed)}, nil
}

func remove(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	b.Name = r.Path(paramBinding)
	err := a.Delete(r.Context(), b)
	if apierrors.IsNotFound(err) {
		return routes.Result{}, notFound(b.Name).WithCause(err)
	}
	return routes.Result{}, a.WriteError(r.Context(), err,
		hostobjects.Action("delete", kubevisionv1alpha1.ResourceRoleBindings, b.Name))
}
