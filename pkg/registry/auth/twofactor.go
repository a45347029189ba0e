// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authentication"
)

// answerRoutes end a login that waits for its second factor.
func answerRoutes(logins *authentication.Logins, reader client.Reader) []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodPost, Path: "/auth/2fa/verify", Operation: "verifyTwoFactor",
			Doc:   "end a login with a one-time code",
			Reads: dashboardv1alpha1.VerifyRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(func(r *routes.Request) (routes.Result, error) {
				var body dashboardv1alpha1.VerifyRequest
				if err := r.ReadJSON(&body); err != nil {
					return routes.Result{}, err
				}
				return answerChallenge(r, reader, cmp.Or(body.SessionToken, body.TempToken), "code", body.Code, logins.AnswerTOTP)
			}),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/recovery", Operation: "recoverTwoFactor",
			Doc:   "end a login with a recovery code, which is spent by that",
			Reads: dashboardv1alpha1.RecoveryRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(func(r *routes.Request) (routes.Result, error) {
				var body dashboardv1alpha1.RecoveryRequest
				if err := r.ReadJSON(&body); err != nil {
					return routes.Result{}, err
				}
				code := cmp.Or(body.RecoveryCode, body.Code)
				return answerChallenge(r, reader, cmp.Or(body.SessionToken, body.TempToken), "recoveryCode", code, logins.AnswerRecovery)
			}),
		},
	}
}

type answerFunc func(ctx context.Context, challenge, code string, from kubevisionv1alpha1.SessionClient) (*authentication.Session, error)

func answerChallenge(r *routes.Request, reader client.Reader, challenge, field, code string, answer answerFunc) (routes.Result, error) {
	switch {
	case challenge == "":
		return routes.Result{}, envelope.Required("sessionToken")
	case code == "":
		return routes.Result{}, envelope.Required(field)
	}
	session, err := answer(r.Context(), challenge, code, from(r))
	if err != nil {
		return routes.Result{}, refused(err)
	}
	return begun(r, session, reader)
}

// factorRoutes are about the caller's own second factor.
func factorRoutes(logins *authentication.Logins) []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodPost, Path: "/auth/2fa/setup", Operation: "setUpTwoFactor", DuringSetup: true,
			Doc:   "make a second factor, which is in force once it is proved",
			Reads: dashboardv1alpha1.SetupRequest{}, Returns: dashboardv1alpha1.SetupEnvelope{},
			Endpoint: routes.Self(func(r *routes.Request, u user.Info) (routes.Result, error) { return setUp(r, u, logins) }),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/enable", Operation: "enableTwoFactor", DuringSetup: true,
			Doc:   "put the second factor into force with its first code; the caller's other sessions end",
			Reads: dashboardv1alpha1.CodeRequest{}, Returns: dashboardv1alpha1.EnabledEnvelope{},
			Endpoint: routes.Self(withCode(func(r *routes.Request, p *authentication.Principal, code string) (any, error) {
				return dashboardv1alpha1.Enabled{Enabled: true}, logins.Enable(r.Context(), p, code)
			})),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/disable", Operation: "disableTwoFactor",
			Doc:   "take the second factor away with one of its codes; the caller's other sessions end",
			Reads: dashboardv1alpha1.CodeRequest{}, Returns: dashboardv1alpha1.DisabledEnvelope{},
			Endpoint: routes.Self(withCode(func(r *routes.Request, p *authentication.Principal, code string) (any, error) {
				return dashboardv1alpha1.Disabled{Disabled: true}, logins.Disable(r.Context(), p, code)
			})),
		},
		{
			Method: http.MethodPost, Path: "/auth/2fa/recovery-codes", Operation: "renewRecoveryCodes",
			Doc:   "replace the recovery codes, with a code of the second factor",
			Reads: dashboardv1alpha1.CodeRequest{}, Returns: dashboardv1alpha1.RecoveryCodesEnvelope{},
			Endpoint: routes.Self(withCode(func(r *routes.Request, p *authentication.Principal, code string) (any, error) {
				codes, err := logins.RenewRecoveryCodes(r.Context(), p, code)
				return dashboardv1alpha1.RecoveryCodes{RecoveryCodes: codes}, err
			})),
		},
	}
}

func setUp(r *routes.Request, u user.Info, logins *authentication.Logins) (routes.Result, error) {
	p, err := principal(u)
	if err != nil {
		return routes.Result{}, err
	}
	var body dashboardv1alpha1.SetupRequest
	if err := r.ReadJSON(&body); err != nil && r.ContentLength != 0 { // nothing need be said the first time
		return routes.Result{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), queueTime)
	defer cancel()
	made, err := logins.Setup(ctx, p, body.Password)
	if err != nil {
		return routes.Result{}, refused(err)
	}
	return routes.Result{Data: dashboardv1alpha1.Setup{
		Secret: made.Secret, OTPAuthURL: made.URL, QRCode: made.QRCode, RecoveryCodes: made.RecoveryCodes,
	}}, nil
}

// withCode makes a handler of a function that needs a KubeVisionUser and a code.
func withCode(do func(*routes.Request, *authentication.Principal, string) (any, error)) func(*routes.Request, user.Info) (routes.Result, error) {
	return func(r *routes.Request, u user.Info) (routes.Result, error) {
		p, err := principal(u)
		if err != nil {
			return routes.Result{}, err
		}
		var body dashboardv1alpha1.CodeRequest
		if err := r.ReadJSON(&body); err != nil {
			return routes.Result{}, err
		}
		if body.Code == "" {
			return routes.Result{}, envelope.Required("code")
		}
		data, err := do(r, p, body.Code)
		if err != nil {
			return routes.Result{}, refused(err)
		}
		return routes.Result{Data: data}, nil
	}
}

// principal is the caller where it is a KubeVisionUser: nobody else has a second factor here.
func principal(u user.Info) (*authentication.Principal, error) {
	if p, ok := u.(*authentication.Principal); ok {
		return p, nil
	}
	return nil, envelope.New(dashboardv1alpha1.CodeConflict, "only users of KubeVision have a second factor here: Kubernetes has authenticated you by other means")
}

// refused finds the code of an error of the authentication package.
func refused(err error) error {
	if e, ok := errors.AsType[*authentication.ChallengeError](err); ok {
		due := envelope.New(dashboardv1alpha1.CodeTwoFactorRequired, "the second factor is due: send a code with the session token")
		due.Data = dashboardv1alpha1.TwoFactorChallenge{Requires2FA: true, SessionToken: e.Token, TempToken: e.Token}
		return due
	}
	if e, ok := errors.AsType[*authentication.CodeError](err); ok {
		failed := envelope.New(dashboardv1alpha1.CodeTwoFactorFailed, "the code is wrong, expired or was used before, or there were too many tries")
		failed.RetryAfterSeconds = int64(math.Ceil(e.RetryAfter.Seconds()))
		return failed
	}
	switch {
	case errors.Is(err, authentication.ErrInvalidCredentials):
		return envelope.New(dashboardv1alpha1.CodeUnauthenticated, "wrong user name or password")
	case isExpired(err):
		return envelope.TokenExpired().Because(err)
	case errors.Is(err, authentication.ErrRevoked):
		return envelope.New(dashboardv1alpha1.CodeUnauthenticated, "the token is not valid: log in again").Because(err)
	case errors.Is(err, authentication.ErrNoSecondFactor):
		return envelope.New(dashboardv1alpha1.CodeConflict, "you have no second factor: set one up first")
	case errors.Is(err, authentication.ErrPolicy):
		return envelope.New(dashboardv1alpha1.CodeConflict, "you must have a second factor: whoever runs KubeVision demands it")
	case errors.Is(err, authentication.ErrPasswordRequired):
		e := envelope.New(dashboardv1alpha1.CodeTwoFactorRequired, "send your password to replace the second factor")
		e.Data = dashboardv1alpha1.TwoFactorChallenge{Reverify: true}
		return e
	case errors.Is(err, context.DeadlineExceeded):
		e := envelope.New(dashboardv1alpha1.CodeTooManyRequests, "too many logins at once: try again shortly").Because(err)
		e.RetryAfterSeconds = int64(time.Second.Seconds())
		return e
	default:
		return err
	}
}
