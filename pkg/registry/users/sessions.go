// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/sessions"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const paramSession = "session"

// sessionRoutes returns the routes that list and end the caller's own sessions. Callers whom kube-apiserver has
// authenticated have no sessions.
func (e *Provider) sessionRoutes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodPost, Path: "/auth/logout", Operation: "logout", DuringSetup: true,
			DuringPasswordChange: true,
			Doc:                  "end the session of the request", Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.Self(func(r *routes.Request, u user.Info) (routes.Result, error) {
				p, ok := u.(*authentication.Principal)
				if !ok {
					return routes.Result{}, nil
				}
				return routes.Result{}, e.endSession(r, p, p.Session)
			}),
		},
		{
			Method: http.MethodGet, Path: "/users/me/sessions", Operation: "listOwnSessions",
			Doc: "list the caller's sessions", Returns: dashboardv1alpha1.SessionListEnvelope{},
			Endpoint: routes.Self(func(r *routes.Request, u user.Info) (routes.Result, error) {
				return listSessions(r.Context(), e.Live, u)
			}),
		},
		{
			Method: http.MethodDelete, Path: "/users/me/sessions/{session}", Operation: "endOwnSession",
			Doc: "end one of the caller's sessions", Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.Self(func(r *routes.Request, u user.Info) (routes.Result, error) {
				id := r.Path(paramSession)
				if err := routes.CheckSubdomain(paramSession, id); err != nil {
					return routes.Result{}, err
				}
				p, ok := u.(*authentication.Principal)
				if !ok {
					return routes.Result{}, noSession(id)
				}
				return routes.Result{}, e.endSession(r, p, id)
			}),
		},
	}
}

// listSessions returns the sessions of u, the newest first. The reader c should not use a cache, because a cache may
// contain a session that has already ended.
func listSessions(ctx context.Context, c client.Reader, u user.Info) (routes.Result, error) {
	out := []dashboardv1alpha1.Session{}
	if p, ok := u.(*authentication.Principal); ok {
		var all kubevisionv1alpha1.KubeVisionSessionList
		if err := c.List(ctx, &all, client.MatchingLabels{names.UserLabel: p.User.Name}); err != nil {
			return routes.Result{}, fmt.Errorf("listing sessions: %w", err)
		}
		for i := range all.Items {
			if s := &all.Items[i]; s.Spec.UserUID == p.User.UID {
				out = append(out, sessions.Describe(s, p))
			}
		}
	}
	slices.SortFunc(out, func(a, b dashboardv1alpha1.Session) int { return b.CreatedAt.Compare(a.CreatedAt.Time) })
	return routes.Result{Data: out, Meta: dashboardv1alpha1.Meta{Total: new(int64(len(out)))}}, nil
}

// endSession ends a session of the caller p. id is the name of this session. endSession returns the same error for a
// session that does not exist and for a session of another user.
func (e *Provider) endSession(r *routes.Request, p *authentication.Principal, id string) error {
	ctx := r.Context()
	s := &kubevisionv1alpha1.KubeVisionSession{}
	err := e.Live.Get(ctx, types.NamespacedName{Name: id}, s)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the session: %w", err)
	}
	if apierrors.IsNotFound(err) || s.Spec.UserUID != p.User.UID {
		return noSession(id)
	}
	if err := e.Live.Delete(ctx, s, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("ending the session: %w", err)
	}
	e.Audit.Record(ctx, audit.Event{Reason: audit.SessionEnded, User: p.User, Session: id,
		Address: e.Client(r.Request).Address.String()})
	return nil
}

func noSession(id string) error {
	return envelope.New(dashboardv1alpha1.CodeNotFound, "you have no session %q", id)
}
