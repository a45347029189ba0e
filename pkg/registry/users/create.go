// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"cmp"
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/autherrors"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const longestName = 63

// create creates a KubeVisionUser and a Secret with the password. It also creates a binding if the role is not
// roleCustom. If one object cannot be created, create deletes the objects that it created before.
func (e *Provider) create(r *routes.Request, a *administrator) (routes.Result, error) {
	var body dashboardv1alpha1.CreateUserRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	body.Role = cmp.Or(body.Role, roleCustom)
	if err := checkNew(&body); err != nil {
		return routes.Result{}, err
	}
	ctx := r.Context()
	u := &kubevisionv1alpha1.KubeVisionUser{}
	secret, hash := passwordSecret(body.Username), password.Placeholder()
	steps := []hostobjects.Step{a.createUser(&body, u), hostobjects.Create("Secret "+secret, func() client.Object {
		return newPasswordSecret(u, secret, names.PasswordKey, hash.String())
	}, a.WriteErrorFor(hostobjects.SecretAction("create", secret)))}
	if body.Role != roleCustom {
		steps = append(steps, a.createGrant(u, body.Role))
	}
	// Hashing is expensive. Therefore, a dry run first checks that the caller may create all objects.
	if err := a.DryRun(ctx, steps...); err != nil {
		return routes.Result{}, err
	}
	var err error
	if hash, err = e.Hash(ctx, a.GetName(), body.Password); err != nil {
		return routes.Result{}, autherrors.Map(err)
	}
	if err := a.Execute(ctx, steps...); err != nil {
		return routes.Result{}, err
	}
	return e.show(ctx, a, u.Name)
}

func checkNew(body *dashboardv1alpha1.CreateUserRequest) error {
	if err := routes.CheckSubdomain("username", body.Username); err != nil {
		return err
	}
	switch {
	case len(body.Username) > longestName:
		return envelope.Invalid("username", "username: must be no more than %d characters", longestName)
	case body.Username == self:
		return envelope.Invalid("username", "username: %q is reserved for the caller", self)
	case body.Password == "":
		return envelope.Required("password")
	}
	if err := errors.Join(checkRole(body.Role), checkTwoFactor(body.TwoFactor)); err != nil {
		return err
	}
	if err := password.CheckStrength(body.Password, body.Username, body.DisplayName, body.Email); err != nil {
		return envelope.Invalid("password", "%s", err.Error())
	}
	return nil
}

func checkTwoFactor(policy string) error {
	switch kubevisionv1alpha1.TwoFactorPolicy(policy) {
	case "", kubevisionv1alpha1.TwoFactorOptional, kubevisionv1alpha1.TwoFactorRequired:
		return nil
	default:
		return envelope.Invalid("twoFactor", "twoFactor must be %s or %s", kubevisionv1alpha1.TwoFactorOptional,
			kubevisionv1alpha1.TwoFactorRequired)
	}
}

// createUser returns a Step for a.Execute. When the Step is executed, it creates the KubeVisionUser, and sets *result.
func (a *administrator) createUser(
	body *dashboardv1alpha1.CreateUserRequest, result *kubevisionv1alpha1.KubeVisionUser,
) hostobjects.Step {
	object := func() client.Object {
		*result = kubevisionv1alpha1.KubeVisionUser{
			ObjectMeta: metav1.ObjectMeta{Name: body.Username},
			Spec: kubevisionv1alpha1.KubeVisionUserSpec{
				DisplayName: body.DisplayName, Email: body.Email, Groups: body.Groups,
				TwoFactor:          kubevisionv1alpha1.TwoFactorPolicy(body.TwoFactor),
				PasswordSecretRef:  &kubevisionv1alpha1.SecretKeyReference{Name: passwordSecret(body.Username)},
				MustChangePassword: body.MustChangePassword == nil || *body.MustChangePassword,
			},
		}
		return result
	}
	return hostobjects.Create("user "+body.Username, object, func(ctx context.Context, err error) error {
		return a.WriteError(ctx, err, hostobjects.Action("create", kubevisionv1alpha1.ResourceUsers, ""))
	})
}
