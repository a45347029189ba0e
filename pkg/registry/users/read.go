// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// readRoutes returns the routes that list and show KubeVisionUsers.
func (e *Provider) readRoutes() []routes.Route {
	all := func(r *routes.Request, u user.Info) (*administrator, error) {
		c, err := e.Host.Connect(r, u)
		return &administrator{c}, err
	}
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/users", Operation: "listUsers",
			Doc: "list the users", Returns: dashboardv1alpha1.UserListEnvelope{},
			Endpoint: routes.AsCaller(all, e.list),
		},
		{
			Method: http.MethodGet, Path: "/users/{user}", Operation: "getUser",
			Parameters: map[string]string{paramUser: "the name of the user"},
			Doc:        "show a user", Returns: dashboardv1alpha1.UserEnvelope{},
			Endpoint: routes.AsCaller(e.administrator,
				func(r *routes.Request, a *administrator) (routes.Result, error) {
					return e.show(r.Context(), a, r.Path(paramUser))
				}),
		},
	}
}

func (e *Provider) list(r *routes.Request, a *administrator) (routes.Result, error) {
	var all kubevisionv1alpha1.KubeVisionUserList
	if err := a.List(r.Context(), &all); err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	roles, err := e.directory(r.Context(), a, all.Items)
	if err != nil {
		return routes.Result{}, err
	}
	slices.SortFunc(all.Items, func(a, b kubevisionv1alpha1.KubeVisionUser) int {
		return strings.Compare(a.Name, b.Name)
	})
	out := make([]dashboardv1alpha1.ManagedUser, 0, len(all.Items))
	for i := range all.Items {
		out = append(out, describeManaged(&all.Items[i], roles))
	}
	return hostobjects.List(out), nil
}

func (e *Provider) show(ctx context.Context, a *administrator, name string) (routes.Result, error) {
	u, err := a.find(ctx, name)
	if err != nil {
		return routes.Result{}, err
	}
	roles, err := e.directory(ctx, a, []kubevisionv1alpha1.KubeVisionUser{*u})
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: describeManaged(u, roles)}, nil
}

func describeManaged(u *kubevisionv1alpha1.KubeVisionUser, roles *directory) dashboardv1alpha1.ManagedUser {
	out := dashboardv1alpha1.ManagedUser{
		User: describeUser(u), Name: u.Name, Status: dashboardv1alpha1.UserActive, IsActive: !u.Spec.Disabled,
		TwoFactor:          string(cmp.Or(u.Spec.TwoFactor, kubevisionv1alpha1.TwoFactorOptional)),
		MustChangePassword: u.Spec.MustChangePassword, LastLogin: u.Status.LastLoginTime,
		CreatedAt:       u.CreationTimestamp,
		ResourceVersion: u.ResourceVersion, Conditions: u.Status.Conditions,
	}
	if roles != nil {
		out.Role = roles.role(u)
	}
	if until := u.Status.LockedUntil; until != nil && until.After(time.Now()) {
		out.Status, out.LockedUntil = dashboardv1alpha1.UserLocked, until
	}
	if u.Spec.Disabled {
		out.Status = dashboardv1alpha1.UserDisabled
	}
	return out
}
