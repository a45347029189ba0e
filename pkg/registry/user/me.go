// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

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
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authentication"
)

// Routes are the endpoints of this package. The reader holds the KubeVision objects; the client ends sessions.
func Routes(reader client.Reader, sessions client.Client) []routes.Route {
	return append(sessionRoutes(sessions), routes.Route{
		Method: http.MethodGet, Path: "/users/me", Operation: "getCurrentUser",
		Doc: "say who the caller is", Returns: dashboardv1alpha1.CurrentUserEnvelope{},
		Endpoint: routes.Self(func(r *routes.Request, u user.Info) (routes.Result, error) {
			current, err := Describe(r.Context(), reader, u)
			return routes.Result{Data: current}, err
		}),
	})
}

// Describe says who somebody is, as the dashboard shows them: a KubeVisionUser, or anybody whom kube-apiserver has authenticated.
func Describe(ctx context.Context, reader client.Reader, u user.Info) (*dashboardv1alpha1.CurrentUser, error) {
	out := &dashboardv1alpha1.CurrentUser{User: dashboardv1alpha1.User{
		ID: u.GetName(), Username: u.GetName(), DisplayName: u.GetName(), Groups: slices.Sorted(slices.Values(u.GetGroups())),
	}}
	if p, ok := u.(*authentication.Principal); ok {
		fill(out, p.User)
	}
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	if err := reader.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	bound, err := boundTo(ctx, reader, u)
	if err != nil {
		return nil, err
	}
	addBindings(out, bound, clusters.Items)
	return out, nil
}

func fill(out *dashboardv1alpha1.CurrentUser, u *kubevisionv1alpha1.KubeVisionUser) {
	out.ID, out.Username = u.Name, u.Name
	out.DisplayName = cmp.Or(u.Spec.DisplayName, u.Name)
	out.Email = u.Spec.Email
	out.Groups = append([]string{}, u.Spec.Groups...)
	out.TOTPEnabled = u.Status.TwoFactorEnabled
	if n := u.Status.RecoveryCodesRemaining; n != nil {
		out.RecoveryCodesRemaining = *n
	}
}

func addBindings(out *dashboardv1alpha1.CurrentUser, bound []kubevisionv1alpha1.KubeVisionRoleBinding, clusters []kubevisionv1alpha1.KubeVisionCluster) {
	hosts := slices.DeleteFunc(slices.Clone(clusters), func(c kubevisionv1alpha1.KubeVisionCluster) bool { return !c.Spec.InCluster })
	out.Role = displayRole(bound, hosts)
	out.Bindings = make([]dashboardv1alpha1.Binding, 0, len(bound))
	for i := range bound {
		out.Bindings = append(out.Bindings, describe(&bound[i], clusters))
	}
}
