// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
)

// TwoFactorPolicy determines which users must have a second factor. These are the users whose spec.twoFactor is
// Required, and the users who have one of the roles in Roles.
type TwoFactorPolicy struct {
	// Reader reads KubeVisionRoleBindings.
	Reader client.Reader
	// Roles lists the roles whose users must have a second factor. Each entry is the name of a ClusterRole or of a
	// built-in role of KubeVision.
	Roles []string
}

// Required returns true if the user must have a second factor.
func (p *TwoFactorPolicy) Required(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (bool, error) {
	if u.Spec.TwoFactor == kubevisionv1alpha1.TwoFactorRequired {
		return true, nil
	}
	if len(p.Roles) == 0 {
		return false, nil
	}
	principal := NewPrincipal(u)
	held, err := bindings.ListForUser(ctx, p.Reader, principal.GetName(), principal.GetGroups())
	if err != nil {
		return false, fmt.Errorf("finding the roles of the user: %w", err)
	}
	return slices.ContainsFunc(held, func(b kubevisionv1alpha1.KubeVisionRoleBinding) bool {
		target := bindings.ClusterRole(b.Spec.RoleRef)
		return slices.ContainsFunc(p.Roles, func(role string) bool {
			return target == role || target == bindings.BuiltInClusterRole(role)
		})
	}), nil
}

// SetupRequired returns true if the user must have a second factor, but has logged in without a second factor. The
// methods are the authentication methods of the login (amr, RFC 8176).
func (p *TwoFactorPolicy) SetupRequired(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, methods []string,
) (bool, error) {
	if HasSecondFactor(methods) {
		return false, nil
	}
	return p.Required(ctx, u)
}
