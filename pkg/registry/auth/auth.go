// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package auth serves what somebody needs to log in.
package auth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/registry/user"
)

// queueTime is how long a login waits for its turn to hash the password.
const queueTime = 5 * time.Second

// localProvider is the only directory that is served: the KubeVisionUsers.
const localProvider = "local"

// Routes are the endpoints of this package. The reader holds the KubeVision objects.
func Routes(logins *authentication.Logins, reader client.Reader) []routes.Route {
	own := append(answerRoutes(logins, reader), factorRoutes(logins)...)
	return append(own, []routes.Route{
		{
			Method: http.MethodPost, Path: "/auth/login", Operation: "login",
			Doc:   "log in with user name and password",
			Reads: dashboardv1alpha1.LoginRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(func(r *routes.Request) (routes.Result, error) { return login(r, logins, reader) }),
		},
		{
			Method: http.MethodPost, Path: "/auth/refresh", Operation: "refresh",
			Doc:   "renew a session with its refresh token, which is spent by that",
			Reads: dashboardv1alpha1.RefreshRequest{}, Returns: dashboardv1alpha1.LoginEnvelope{},
			Endpoint: routes.Public(func(r *routes.Request) (routes.Result, error) { return refresh(r, logins, reader) }),
		},
	}...)
}

func login(r *routes.Request, logins *authentication.Logins, reader client.Reader) (routes.Result, error) {
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
	ctx, cancel := context.WithTimeout(r.Context(), queueTime)
	defer cancel()
	session, err := logins.Password(ctx, body.Username, body.Password, from(r))
	if err != nil {
		return routes.Result{}, refused(err)
	}
	return begun(r, session, reader)
}

func refresh(r *routes.Request, logins *authentication.Logins, reader client.Reader) (routes.Result, error) {
	var body dashboardv1alpha1.RefreshRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if body.RefreshToken == "" {
		return routes.Result{}, envelope.Required("refreshToken")
	}
	session, err := logins.Refresh(r.Context(), body.RefreshToken)
	if err != nil {
		return routes.Result{}, refused(err)
	}
	return begun(r, session, reader)
}

// begun answers with a session, or asks for a second factor to be set up, which is all that the session is good for then.
func begun(r *routes.Request, session *authentication.Session, reader client.Reader) (routes.Result, error) {
	if session.SetupRequired {
		e := envelope.New(dashboardv1alpha1.CodeTwoFactorRequired, "you must set up a second factor before anything else")
		e.Data = dashboardv1alpha1.TwoFactorChallenge{
			SetupRequired: true, AccessToken: session.AccessToken, RefreshToken: session.RefreshToken, ExpiresIn: int64(session.ExpiresIn.Seconds()),
		}
		return routes.Result{}, e
	}
	current, err := user.Describe(r.Context(), reader, authentication.NewPrincipal(session.User, "", nil))
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: dashboardv1alpha1.Login{
		AccessToken: session.AccessToken, RefreshToken: session.RefreshToken, ExpiresIn: int64(session.ExpiresIn.Seconds()), User: current.User,
	}}, nil
}

func isExpired(err error) bool {
	return errors.Is(err, token.ErrExpired) || errors.Is(err, authentication.ErrExpired)
}

func from(r *routes.Request) kubevisionv1alpha1.SessionClient {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = ""
	}
	return kubevisionv1alpha1.SessionClient{Address: address, UserAgent: r.UserAgent()}
}
