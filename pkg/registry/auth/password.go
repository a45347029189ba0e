// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/autherrors"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

func (e *Provider) changePassword(r *routes.Request, u user.Info) (routes.Result, error) {
	p, err := principal(u)
	if err != nil {
		return routes.Result{}, err
	}
	var body dashboardv1alpha1.PasswordRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	switch {
	case body.OldPassword == "":
		return routes.Result{}, envelope.Required("oldPassword")
	case body.NewPassword == "":
		return routes.Result{}, envelope.Required("newPassword")
	}
	err = e.Passwords.Change(r.Context(), p, body.OldPassword, body.NewPassword, e.Client(r.Request))
	return routes.Result{}, autherrors.Map(err)
}

// Prove returns a function that verifies the one-time code of a user's second factor. The function returns nil if the
// code is valid or not required. The parameter origin returns properties of the client that has sent the request, for
// example the address.
func Prove(
	factors *authentication.SecondFactors, origin func(*http.Request) authentication.Client,
) func(r *http.Request, u user.Info, code string) error {
	return func(r *http.Request, u user.Info, code string) error {
		p, ok := u.(*authentication.Principal)
		if !ok { // KubeVision stores no second factor for users whom kube-apiserver has authenticated.
			return nil
		}
		return autherrors.Map(factors.VerifyFreshCode(r.Context(), p, code, origin(r)))
	}
}

func principal(u user.Info) (*authentication.Principal, error) {
	if p, ok := u.(*authentication.Principal); ok {
		return p, nil
	}
	return nil, envelope.New(dashboardv1alpha1.CodeConflict,
		"only KubeVision users have a password and a second factor: you are authenticated by Kubernetes")
}
