// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Reader reads KubeVision's custom resources from a cache.
	Reader client.Reader
	// Live is a client with the permissions of KubeVision. It reads objects without a cache, and deletes sessions.
	Live client.Client
	// Host is the host cluster, which stores the KubeVisionUsers.
	Host *hostobjects.Host
	// Hash hashes a new password that a user has sent. The first string is the name of the user, and the second one is
	// the password.
	Hash func(context.Context, string, string) (password.Hash, error)
	// Audit records resets of passwords and second factors, and the end of sessions.
	Audit *audit.Log
	// Client returns the address, the user agent and the device token of the client that sent a request.
	Client func(*http.Request) authentication.Client
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	return append(slices.Concat(e.sessionRoutes(), e.manageRoutes(), e.readRoutes(), e.writeRoutes()), routes.Route{
		Method: http.MethodGet, Path: "/users/me", Operation: "getCurrentUser", DuringPasswordChange: true,
		Doc: "show the caller", Returns: dashboardv1alpha1.CurrentUserEnvelope{},
		Endpoint: routes.Self(func(r *routes.Request, u user.Info) (routes.Result, error) {
			current, err := Describe(r.Context(), e.Reader, u)
			return routes.Result{Data: current}, err
		}),
	})
}

// Describe returns the account and the bindings of u. The user u is a KubeVisionUser, or a user whom kube-apiserver has
// authenticated.
func Describe(ctx context.Context, reader client.Reader, u user.Info) (*dashboardv1alpha1.CurrentUser, error) {
	out := &dashboardv1alpha1.CurrentUser{User: dashboardv1alpha1.User{
		ID: u.GetName(), Username: u.GetName(), DisplayName: u.GetName(),
		Groups: slices.Sorted(slices.Values(u.GetGroups())),
	}}
	if p, ok := u.(*authentication.Principal); ok {
		out.User = describeUser(p.User)
		if n := p.User.Status.RecoveryCodesRemaining; n != nil {
			out.RecoveryCodesRemaining = *n
		}
	}
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	if err := reader.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	bound, err := bindings.ListForUser(ctx, reader, u.GetName(), u.GetGroups())
	if err != nil {
		return nil, err
	}
	addBindings(out, bound, clusters.Items)
	return out, nil
}

// describeUser converts u to a response without the dashboard role.
func describeUser(u *kubevisionv1alpha1.KubeVisionUser) dashboardv1alpha1.User {
	return dashboardv1alpha1.User{
		ID: u.Name, Username: u.Name, DisplayName: cmp.Or(u.Spec.DisplayName, u.Name), Email: u.Spec.Email,
		Groups: append([]string{}, u.Spec.Groups...), TOTPEnabled: u.Status.TwoFactorEnabled,
	}
}

func addBindings(
	out *dashboardv1alpha1.CurrentUser, bound []kubevisionv1alpha1.KubeVisionRoleBinding,
	clusters []kubevisionv1alpha1.KubeVisionCluster,
) {
	out.Role = highestDisplayRole(bound, hostsOf(clusters))
	out.Bindings = make([]dashboardv1alpha1.Binding, 0, len(bound))
	for i := range bound {
		out.Bindings = append(out.Bindings, describe(&bound[i], clusters))
	}
}
