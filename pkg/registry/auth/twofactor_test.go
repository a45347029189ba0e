// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"strings"
	"testing"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestSetUp verifies that a second factor takes effect when the user confirms the set-up with a code. The confirmation
// ends all sessions of the user, except the session that sends the code.
func TestSetUp(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	other := &visitor{server: s, user: v.user}
	s.public(t, "/auth/login", v.credential()).Want(t, wire.OK).Into(t, &other.login)
	for _, path := range []string{"enable", "disable", "reverify", "recovery-codes"} {
		v.own(t, post, "/auth/2fa/"+path, fields{"code": "123456"}).Want(t, wire.Conflict)
	}
	var made enrolment
	v.own(t, post, "/auth/2fa/setup", nil).Want(t, wire.OK).Into(t, &made)
	if made.Secret == "" || len(made.RecoveryCodes) == 0 || !strings.Contains(made.OTPAuthURL, made.Secret) {
		t.Errorf("the set-up is %d recovery codes and the address %q", len(made.RecoveryCodes), made.OTPAuthURL)
	}
	v.own(t, post, "/auth/2fa/enable", fields{"code": "000000"}).Want(t, wire.TwoFactorFailed)
	// Another session must not enable the factor of this one.
	other.own(t, post, "/auth/2fa/enable", fields{"code": fixture.Code(t, made.Secret, 0)}).Want(t, wire.Conflict)
	s.public(t, "/auth/login", v.credential()).Want(t, wire.OK)
	v.own(t, post, "/auth/2fa/enable", fields{"code": fixture.Code(t, made.Secret, 0)}).Want(t, wire.OK)
	v.principal(t)
	other.wantEnded(t)
	v.challenge(t)

	var due struct {
		Reverify bool `json:"reverify"`
	}
	answer := v.own(t, post, "/auth/2fa/setup", nil).Want(t, wire.TwoFactorRequired)
	answer.Into(t, &due)
	if !due.Reverify || answer.Meta.Field != "password" {
		t.Errorf("the replacement of a second factor requires no password: %s", answer.Raw)
	}
	v.own(t, post, "/auth/2fa/setup", fields{"password": "wrong"}).Want(t, wire.TwoFactorFailed)
	v.own(t, post, "/auth/2fa/setup", fields{"password": v.user.Password}).Want(t, wire.OK)
	v.challenge(t) // The replacement is pending.
}

// TestVerification verifies the responses to the codes that complete a login. A code is valid once.
func TestVerification(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	made := v.enrol(t)
	challenge := v.challenge(t)
	for path, field := range map[string]string{"/auth/2fa/verify": "code", "/auth/2fa/recovery": "recoveryCode"} {
		for token, code := range map[string]int{
			"rubbish": wire.Unauthenticated, v.login.AccessToken: wire.Unauthenticated, challenge: wire.TwoFactorFailed,
		} {
			s.public(t, path, fields{"sessionToken": token, field: "000000"}).Want(t, code)
		}
	}
	if _, err := v.tokens.Authenticate(t.Context(), challenge); err == nil {
		t.Error("a challenge is an access token")
	}
	totp := fixture.Code(t, made.Secret, 0)
	s.public(t, "/auth/2fa/verify", fields{"tempToken": challenge, "code": totp}).Want(t, wire.OK).Into(t, &v.login)
	v.principal(t)
	s.public(t, "/auth/2fa/verify", fields{"sessionToken": v.challenge(t), "code": totp}).Want(t, wire.TwoFactorFailed)
	recovery := made.RecoveryCodes[0]
	s.public(t, "/auth/2fa/recovery", fields{"sessionToken": v.challenge(t), "code": recovery}).Want(t, wire.OK)
	s.public(t, "/auth/2fa/recovery", fields{"sessionToken": v.challenge(t), "recoveryCode": recovery}).
		Want(t, wire.TwoFactorFailed)

	v.own(t, post, "/auth/2fa/recovery-codes", fields{"code": "000000"}).Want(t, wire.TwoFactorFailed)
	old := made.RecoveryCodes[1]
	v.own(t, post, "/auth/2fa/recovery-codes", fields{"code": fixture.Code(t, made.Secret, 1)}).Want(t, wire.OK).
		Into(t, &made)
	s.public(t, "/auth/2fa/recovery", fields{"sessionToken": v.challenge(t), "recoveryCode": old}).
		Want(t, wire.TwoFactorFailed)
	s.public(t, "/auth/2fa/recovery", fields{"sessionToken": v.challenge(t), "recoveryCode": made.RecoveryCodes[1]}).
		Want(t, wire.OK)
}

func TestDisable(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	made := v.enrol(t)
	v.own(t, post, "/auth/2fa/disable", fields{"code": "000000"}).Want(t, wire.TwoFactorFailed)
	v.challenge(t)
	v.own(t, post, "/auth/2fa/disable", fields{"code": fixture.Code(t, made.Secret, 0)}).Want(t, wire.OK)
	s.public(t, "/auth/login", v.credential()).Want(t, wire.OK)
}

// TestRequiredSecondFactor verifies the login of a user who must have a second factor, but has none. The session is
// restricted to the set-up of the second factor. Afterwards, the user cannot disable the second factor.
func TestRequiredSecondFactor(t *testing.T) {
	s := newServer(t)
	v := &visitor{server: s, user: s.User(t, "required", func(u *kubevisionv1alpha1.KubeVisionUser) {
		u.Spec.TwoFactor = kubevisionv1alpha1.TwoFactorRequired
	})}
	var due struct {
		fixture.Login

		SetupRequired bool `json:"setupRequired"`
	}
	s.public(t, "/auth/login", v.credential()).Want(t, wire.TwoFactorRequired).Into(t, &due)
	v.login = due.Login
	if !due.SetupRequired || !v.principal(t).SetupRequired {
		t.Errorf("the session is not restricted to the set-up")
	}
	v.enrol(t)
	if v.principal(t).SetupRequired {
		t.Error("the session is restricted after the set-up")
	}
	v.own(t, post, "/auth/2fa/disable", fields{"code": "123456"}).Want(t, wire.Conflict)
	v.challenge(t)
}

// TestKubernetesUsers verifies that callers without a KubeVisionUser have neither a password nor a second factor.
func TestKubernetesUsers(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"setup", "enable", "disable", "reverify", "recovery-codes"} {
		s.Call(t, kubernetesUser(), post, "/auth/2fa/"+path, fields{"code": "123456"}).Want(t, wire.Conflict)
	}
	s.Call(t, kubernetesUser(), put, "/users/me/password", fields{"oldPassword": "x", "newPassword": "y"}).
		Want(t, wire.Conflict)
}
