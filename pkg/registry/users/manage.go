// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/autherrors"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	paramUser = "user"
	// self is the name of the caller in a path.
	self = "me"
)

// administrator connects to the host cluster as a caller who manages KubeVisionUsers.
type administrator struct {
	*hostobjects.Client
}

// manageRoutes returns the routes with which an administrator resets the password of a user, removes the second factor
// of a user, or ends all sessions of a user.
func (e *Provider) manageRoutes() []routes.Route {
	parameters := map[string]string{paramUser: "the name of the user"}
	return []routes.Route{
		{
			Method: http.MethodPut, Path: "/users/{user}/reset-password", Operation: "resetPassword",
			Parameters: parameters,
			Doc:        "reset the password of a user; all sessions of the user end",
			Reads:      dashboardv1alpha1.ResetPasswordRequest{}, Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.AsCaller(e.administrator, e.resetPassword),
		},
		{
			Method: http.MethodPost, Path: "/users/{user}/reset-2fa", Operation: "resetTwoFactor",
			Parameters: parameters,
			Doc:        "remove the second factor of a user; all sessions of the user end",
			Returns:    dashboardv1alpha1.Envelope{},
			Endpoint:   routes.AsCaller(e.administrator, e.resetTwoFactor),
		},
		{
			Method: http.MethodPost, Path: "/users/{user}/revoke-sessions", Operation: "revokeSessions",
			Parameters: parameters,
			Doc:        "end all sessions of a user",
			Returns:    dashboardv1alpha1.RevokedEnvelope{},
			Endpoint:   routes.AsCaller(e.administrator, e.revokeSessions),
		},
	}
}

func (e *Provider) administrator(r *routes.Request, u user.Info) (*administrator, error) {
	if r.Path(paramUser) == self { // "me" means the caller, for whom this endpoint does not exist
		return nil, envelope.New(dashboardv1alpha1.CodeNotFound, "there is no such endpoint")
	}
	c, err := hostobjects.Named(paramUser, e.Host.Connect)(r, u)
	return &administrator{c}, err
}

// find gets the KubeVisionUser with the given name, with the rights of the caller. If there is none, it returns an
// error with the code CodeUserNotFound.
func (a *administrator) find(ctx context.Context, name string) (*kubevisionv1alpha1.KubeVisionUser, error) {
	u := &kubevisionv1alpha1.KubeVisionUser{}
	err := a.Find(ctx, name, u, envelope.New(dashboardv1alpha1.CodeUserNotFound, "there is no user %q", name))
	return u, err
}

func (e *Provider) resetPassword(r *routes.Request, a *administrator) (routes.Result, error) {
	var body dashboardv1alpha1.ResetPasswordRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	replacement := cmp.Or(body.NewPassword, body.Password)
	if replacement == "" {
		return routes.Result{}, envelope.Required("newPassword")
	}
	ctx := r.Context()
	u, err := a.find(ctx, r.Path(paramUser))
	if err != nil {
		return routes.Result{}, err
	}
	if err := password.CheckStrength(replacement, u.Name, u.Spec.DisplayName, u.Spec.Email); err != nil {
		return routes.Result{}, autherrors.Map(err)
	}
	version, err := a.replacePassword(ctx, u, body.MustChangePassword == nil || *body.MustChangePassword,
		func() (password.Hash, error) { return e.Hash(ctx, a.GetName(), replacement) })
	if err != nil {
		return routes.Result{}, err
	}
	e.record(r, audit.PasswordReset, a, u, "")
	return e.waitUntilInForce(ctx, "the new password", func(ctx context.Context) (bool, error) {
		return e.isResetComplete(ctx, u, version)
	})
}

func (e *Provider) resetTwoFactor(r *routes.Request, a *administrator) (routes.Result, error) {
	ctx := r.Context()
	u, err := a.find(ctx, r.Path(paramUser))
	if err != nil {
		return routes.Result{}, err
	}
	changed := u.DeepCopy()
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	changed.Annotations[names.ResetTwoFactorAnnotation] = a.GetName()
	if err := a.Patch(ctx, changed, client.MergeFrom(u)); err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	e.record(r, audit.SecondFactorReset, a, u, "")
	return e.waitUntilInForce(ctx, "the reset", func(ctx context.Context) (bool, error) {
		now := &kubevisionv1alpha1.KubeVisionUser{}
		err := e.Reader.Get(ctx, client.ObjectKeyFromObject(u), now)
		_, waiting := now.Annotations[names.ResetTwoFactorAnnotation]
		if err != nil || waiting || now.ResourceVersion == u.ResourceVersion {
			return false, client.IgnoreNotFound(err)
		}
		return e.isResetComplete(ctx, u, "")
	})
}

func (e *Provider) revokeSessions(r *routes.Request, a *administrator) (routes.Result, error) {
	ctx := r.Context()
	u, err := a.find(ctx, r.Path(paramUser))
	if err != nil {
		return routes.Result{}, err
	}
	var all kubevisionv1alpha1.KubeVisionSessionList
	if err := a.List(ctx, &all, client.MatchingLabels{names.UserLabel: u.Name}); err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	revoked, err := sessionindex.EndAll(ctx, a.Client.Client, all.Items)
	if err == nil || revoked > 0 { // Some sessions may have ended before the error.
		e.record(r, audit.SessionEnded, a, u, fmt.Sprintf("%d sessions", revoked))
	}
	if err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	return routes.Result{Data: dashboardv1alpha1.Revoked{Revoked: revoked}}, nil
}

func (e *Provider) record(
	r *routes.Request, reason audit.Reason, a *administrator, u *kubevisionv1alpha1.KubeVisionUser, detail string,
) {
	e.Audit.Record(r.Context(), audit.Event{Reason: reason, User: u, Actor: a.GetName(),
		Address: e.Client(r.Request).Address.String(), Detail: detail})
}
