// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package auth serves logins, and changes of the caller's password and second factor.
package auth

import (
	"cmp"
	"net/http"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/autherrors"
	"github.com/kubevision-io/kubevision/pkg/registry/users"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// localProvider is the name of the only supported identity provider, which is KubeVision itself.
const localProvider = "local"

// Provider provides the endpoints of this package.
type Provider struct {
	// Logins authenticates users.
	Logins *authentication.Logins
	// Passwords changes the passwords of users.
	Passwords *authentication.Passwords
	// Sessions refreshes sessions.
	Sessions *authentication.SessionManager
	// SecondFactors sets up second factors and verifies their one-time codes.
	SecondFactors *authentication.SecondFactors
	// Reader reads KubeVision's custom resources.
	Reader client.Reader
	// Client returns the address, the user agent and the device token of the client that sent a request.
	Client func(*http.Request) authentication.Client
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	return slices.Concat(e.verifyRoutes(), e.factorRoutes(), []routes.Route{
		{
			Method: http.MethodPost, Path: "/auth/login", Operation: "login",
			Doc:   "log in with a user name and a password",
			Reads: dashboardv1alpha1.LoginRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(e.login),
		},
		{
			Method: http.MethodPost, Path: "/auth/refresh", Operation: "refresh",
			Doc:   "renew a session with its refresh token, which is valid once",
			Reads: dashboardv1alpha1.RefreshRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(e.refresh),
		},
		{
			Method: http.MethodPut, Path: "/users/me/password", Operation: "changeOwnPassword",
			DuringPasswordChange: true,
			Doc:                  "change the caller's password; the caller's other sessions end",
			Reads:                dashboardv1alpha1.PasswordRequest{}, Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.Self(e.changePassword),
		},
	})
}

func (e *Provider) login(r *routes.Request) (routes.Result, error) {
	var body dashboardv1alpha1.LoginRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	switch {
	case body.Username == "":
		return routes.Result{}, envelope.Required("username")
	case body.Password == "":
		return routes.Result{}, envelope.Required("password")
	case body.Provider != "" && body.Provider != localProvider:
		return routes.Result{}, envelope.Invalid("provider", "provider must be %q", localProvider)
	}
	from := e.Client(r.Request)
	from.DeviceToken = cmp.Or(body.DeviceToken, from.DeviceToken)
	session, err := e.Logins.Password(r.Context(), body.Username, body.Password, from)
	return e.loginResult(r, session, err)
}

func (e *Provider) refresh(r *routes.Request) (routes.Result, error) {
	var body dashboardv1alpha1.RefreshRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if body.RefreshToken == "" {
		return routes.Result{}, envelope.Required("refreshToken")
	}
	session, err := e.Sessions.Refresh(r.Context(), body.RefreshToken, e.Client(r.Request))
	return e.loginResult(r, session, err)
}

// loginResult returns the response to a login or a refresh: the tokens and the user of the session, or an error with a
// code. The parameter err is the error of the login or refresh.
func (e *Provider) loginResult(r *routes.Request, session *authentication.Session, err error) (routes.Result, error) {
	if err != nil {
		return routes.Result{}, autherrors.Map(err)
	}
	// With these tokens, the client can only set up a second factor. The code of the error tells this to the client.
	if session.SetupRequired {
		due := autherrors.SetupRequired(dashboardv1alpha1.CodeTwoFactorRequired)
		due.Data = dashboardv1alpha1.TwoFactorChallenge{
			SetupRequired: true, AccessToken: session.AccessToken, RefreshToken: session.RefreshToken,
			ExpiresIn: int64(session.ExpiresIn.Seconds()), SessionToken: session.SetupToken,
			TempToken: session.SetupToken,
		}
		return routes.Result{}, due
	}
	return e.sessionResult(r, session)
}

// verifyResult returns the response to the second step of a login: the tokens and the user of the session, or an error
// with a code. The parameter err is the error of the second step.
func (e *Provider) verifyResult(r *routes.Request, session *authentication.Session, err error) (routes.Result, error) {
	if err != nil {
		return routes.Result{}, autherrors.Map(err)
	}
	return e.sessionResult(r, session)
}

func (e *Provider) sessionResult(r *routes.Request, session *authentication.Session) (routes.Result, error) {
	current, err := users.Describe(r.Context(), e.Reader, authentication.NewPrincipal(session.User))
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: dashboardv1alpha1.Login{
		AccessToken: session.AccessToken, RefreshToken: session.RefreshToken,
		ExpiresIn:   int64(session.ExpiresIn.Seconds()),
		DeviceToken: session.DeviceToken, User: current.User,
		PasswordChangeRequired: session.PasswordChangeRequired, SetupRequired: session.SetupRequired,
	}}, nil
}
