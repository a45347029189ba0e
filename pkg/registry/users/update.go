// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"context"
	"errors"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// update changes a KubeVisionUser: it sets the fields that the request body contains. If the body contains a role,
// update also changes the role of the user (see changeRole). If a change fails, update reverts the changes before it.
func (e *Provider) update(r *routes.Request, a *administrator) (routes.Result, error) {
	var body dashboardv1alpha1.UpdateUserRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if err := checkChange(&body); err != nil {
		return routes.Result{}, err
	}
	ctx := r.Context()
	u, err := a.find(ctx, r.Path(paramUser))
	if err != nil {
		return routes.Result{}, err
	}
	if err := hostobjects.CheckVersion(body.ResourceVersion, u); err != nil {
		return routes.Result{}, err
	}
	changed := u.DeepCopy()
	apply(&changed.Spec, &body)
	steps, err := e.changes(ctx, a, u, changed, &body)
	if err != nil {
		return routes.Result{}, err
	}
	if err := a.Apply(ctx, steps...); err != nil {
		return routes.Result{}, err
	}
	return e.show(ctx, a, u.Name)
}

func checkChange(body *dashboardv1alpha1.UpdateUserRequest) error {
	var errs []error
	if body.Role != nil {
		errs = append(errs, checkRole(*body.Role))
	}
	if body.TwoFactor != nil {
		errs = append(errs, checkTwoFactor(*body.TwoFactor))
	}
	return errors.Join(errs...)
}

// changes returns the steps that change the KubeVisionUser u to newUser and set its role. The first step patches the
// KubeVisionUser even if only the role changes. Therefore, the caller always needs the right to patch the
// KubeVisionUser.
func (e *Provider) changes(
	ctx context.Context, a *administrator, u, newUser *kubevisionv1alpha1.KubeVisionUser,
	body *dashboardv1alpha1.UpdateUserRequest,
) ([]hostobjects.Step, error) {
	patch := a.WriteErrorFor(hostobjects.Action("patch", kubevisionv1alpha1.ResourceUsers, u.Name))
	steps := []hostobjects.Step{hostobjects.Patch("user "+u.Name, u, newUser, body.ResourceVersion, patch)}
	if body.Role == nil {
		return steps, nil
	}
	step, err := e.changeRole(ctx, a, newUser, *body.Role)
	if err != nil {
		return nil, err
	}
	if step != nil {
		steps = append(steps, *step)
	}
	return steps, nil
}

func apply(spec *kubevisionv1alpha1.KubeVisionUserSpec, body *dashboardv1alpha1.UpdateUserRequest) {
	setIfGiven(&spec.DisplayName, body.DisplayName)
	setIfGiven(&spec.Email, body.Email)
	setIfGiven(&spec.Groups, body.Groups)
	setIfGiven(&spec.MustChangePassword, body.MustChangePassword)
	if body.IsActive != nil {
		spec.Disabled = !*body.IsActive
	}
	if body.TwoFactor != nil {
		spec.TwoFactor = kubevisionv1alpha1.TwoFactorPolicy(*body.TwoFactor)
	}
}

func setIfGiven[T any](field, given *T) {
	if given != nil {
		*field = *given
	}
}
