// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/autherrors"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// verifyRoutes returns the routes that complete a login with a code of the second factor or a recovery code.
func (e *Provider) verifyRoutes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodPost, Path: "/auth/2fa/verify", Operation: "verifyTwoFactor",
			Doc:   "complete a login with a one-time code",
			Reads: dashboardv1alpha1.VerifyRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(func(r *routes.Request) (routes.Result, error) {
				var body dashboardv1alpha1.VerifyRequest
				if err := r.ReadJSON(&body); err != nil {
					return routes.Result{}, err
				}
				return e.verify(r, cmp.Or(body.SessionToken, body.TempToken), "code", body.Code,
					e.SecondFactors.VerifyTOTP)
			}),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/recovery", Operation: "recoverTwoFactor",
			Doc:   "complete a login with a recovery code, which is valid once",
			Reads: dashboardv1alpha1.RecoveryRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(func(r *routes.Request) (routes.Result, error) {
				var body dashboardv1alpha1.RecoveryRequest
				if err := r.ReadJSON(&body); err != nil {
					return routes.Result{}, err
				}
				code := cmp.Or(body.RecoveryCode, body.Code)
				return e.verify(r, cmp.Or(body.SessionToken, body.TempToken), "recoveryCode", code,
					e.SecondFactors.VerifyRecoveryCode)
			}),
		},
	}
}

type verifyFunc func(ctx context.Context, challenge, code string, from authentication.Client) (*authentication.Session,
	error)

func (e *Provider) verify(r *routes.Request, challenge, field, code string, answer verifyFunc) (routes.Result, error) {
	switch {
	case challenge == "":
		return routes.Result{}, envelope.Required("sessionToken")
	case code == "":
		return routes.Result{}, envelope.Required(field)
	}
	session, err := answer(r.Context(), challenge, code, e.Client(r.Request))
	return e.verifyResult(r, session, err)
}

// factorRoutes returns the routes that set up, change or use the second factor of the caller.
func (e *Provider) factorRoutes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodPost, Path: "/auth/2fa/setup", Operation: "setUpTwoFactor", DuringSetup: true,
			DuringPasswordChange: true,
			Doc:                  "set up a second factor, which is in force after its first code",
			Reads:                dashboardv1alpha1.SetupRequest{}, BodyOptional: true,
			Returns:  dashboardv1alpha1.SetupEnvelope{},
			Endpoint: routes.Self(e.setUp),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/enable", Operation: "enableTwoFactor", DuringSetup: true,
			DuringPasswordChange: true,
			Doc:                  "enable the second factor with its first code; the caller's other sessions end",
			Reads:                dashboardv1alpha1.CodeRequest{}, Returns: dashboardv1alpha1.EnabledEnvelope{},
			Endpoint: routes.Self(withCode(func(r *routes.Request, p *authentication.Principal, code string) (any,
				error) {
				return dashboardv1alpha1.Enabled{Enabled: true}, e.SecondFactors.Enable(r.Context(), p, code,
					e.Client(r.Request))
			})),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/disable", Operation: "disableTwoFactor",
			Doc:   "disable the second factor with one of its codes; the caller's other sessions end",
			Reads: dashboardv1alpha1.CodeRequest{}, Returns: dashboardv1alpha1.DisabledEnvelope{},
			Endpoint: routes.Self(withCode(func(r *routes.Request, p *authentication.Principal, code string) (any,
				error) {
				return dashboardv1alpha1.Disabled{Disabled: true}, e.SecondFactors.Disable(r.Context(), p, code,
					e.Client(r.Request))
			})),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/reverify", Operation: "reverifyTwoFactor",
			Doc:   "verify the session with a code of the second factor; requests need no fresh code for five minutes",
			Reads: dashboardv1alpha1.CodeRequest{}, Returns: dashboardv1alpha1.ReverifiedEnvelope{},
			Endpoint: routes.Self(withCode(func(r *routes.Request, p *authentication.Principal, code string) (any,
				error) {
				answer := dashboardv1alpha1.Reverified{Reverified: true,
					ExpiresIn: int64(credentials.VerifiedTTL.Seconds())}
				return answer, e.SecondFactors.Reverify(r.Context(), p, code, e.Client(r.Request))
			})),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/recovery-codes", Operation: "renewRecoveryCodes",
			Doc:   "replace the recovery codes with a code of the second factor",
			Reads: dashboardv1alpha1.CodeRequest{}, Returns: dashboardv1alpha1.RecoveryCodesEnvelope{},
			Endpoint: routes.Self(withCode(func(r *routes.Request, p *authentication.Principal, code string) (any,
				error) {
				codes, err := e.SecondFactors.RenewRecoveryCodes(r.Context(), p, code, e.Client(r.Request))
				return dashboardv1alpha1.RecoveryCodes{RecoveryCodes: codes}, err
			})),
		},
	}
}

func (e *Provider) setUp(r *routes.Request, u user.Info) (routes.Result, error) {
	p, err := principal(u)
	if err != nil {
		return routes.Result{}, err
	}
	var body dashboardv1alpha1.SetupRequest
	if err := r.ReadOptionalJSON(&body); err != nil { // the password is optional shortly after a login
		return routes.Result{}, err
	}
	made, err := e.SecondFactors.Setup(r.Context(), p, body.Password, e.Client(r.Request))
	if err != nil {
		return routes.Result{}, autherrors.Map(err)
	}
	return routes.Result{Data: dashboardv1alpha1.Setup{
		Secret: made.Secret, OTPAuthURL: made.URL, QRCode: made.QRCode, RecoveryCodes: made.RecoveryCodes,
	}}, nil
}

// withCode returns a handler that calls do() with the caller and the code in the request. The handler returns an error
// if the caller is not a KubeVisionUser, or if the request contains no code.
func withCode(
	do func(*routes.Request, *authentication.Principal, string) (any, error),
) func(*routes.Request, user.Info) (routes.Result, error) {
	return func(r *routes.Request, u user.Info) (routes.Result, error) {
		p, err := principal(u)
		if err != nil {
			return routes.Result{}, err
		}
		var body dashboardv1alpha1.CodeRequest
		if err := r.ReadJSON(&body); err != nil {
			return routes.Result{}, err
		}
		code := cmp.Or(body.Code, r.FreshCode())
		if code == "" {
			return routes.Result{}, envelope.Required("code")
		}
		data, err := do(r, p, code)
		if err != nil {
			return routes.Result{}, autherrors.Map(err)
		}
		return routes.Result{Data: data}, nil
	}
}
