// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// writeRoutes returns the routes that create, change and delete KubeVisionUsers. They act as the caller. Therefore, the
// RBAC of the host authorizes them.
func (e *Provider) writeRoutes() []routes.Route {
	parameters := map[string]string{paramUser: "the name of the user"}
	connect := func(r *routes.Request, u user.Info) (*administrator, error) {
		c, err := e.Host.Connect(r, u)
		return &administrator{c}, err
	}
	return []routes.Route{
		{
			Method: http.MethodPost, Path: "/users", Operation: "createUser",
			Doc:   "create a user with a password and an optional role on every cluster",
			Reads: dashboardv1alpha1.CreateUserRequest{}, Returns: dashboardv1alpha1.UserEnvelope{},
			Endpoint: routes.AsCaller(connect, e.create),
		},
		{
			Method: http.MethodPut, Path: "/users/{user}", Operation: "updateUser", Parameters: parameters,
			Doc:   "change a user, and the role that this API has granted; absent fields are not changed",
			Reads: dashboardv1alpha1.UpdateUserRequest{}, Returns: dashboardv1alpha1.UserEnvelope{},
			Endpoint: routes.AsCaller(e.administrator, e.update),
		},
		{
			Method: http.MethodDelete, Path: "/users/{user}", Operation: "deleteUser", Parameters: parameters,
			Doc:      "delete a user, its password and the role that this API has granted",
			Returns:  dashboardv1alpha1.Envelope{},
			Endpoint: routes.AsCaller(e.administrator, e.remove),
		},
	}
}
