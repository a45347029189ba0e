// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sessions serves the KubeVisionSessions of all users to callers who manage them.
package sessions

import (
	"context"
	"net/http"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	paramSession = "session"
	paramUser    = "user"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Host is the host cluster, which stores the sessions.
	Host *hostobjects.Host
	// Audit records an event for each session that is deleted.
	Audit *audit.Log
	// Client returns the address, the user agent and the device token of the client that sent a request.
	Client func(*http.Request) authentication.Client
}

// Routes implements routes.Provider. Clients use the routes to list, show and end sessions. No route creates a session,
// because only a login does.
func (e *Provider) Routes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/sessions", Operation: "listSessions",
			Doc: "list the sessions of all users, or of one", Returns: dashboardv1alpha1.ManagedSessionListEnvelope{},
			Parameters: map[string]string{paramUser: "the name of a user, to list only that user's sessions"},
			Endpoint:   routes.AsCaller(e.Host.Connect, list),
		},
		{
			Method: http.MethodGet, Path: "/sessions/{session}", Operation: "getSession",
			Doc: "show a session", Returns: dashboardv1alpha1.ManagedSessionEnvelope{},
			Endpoint: routes.AsCaller(hostobjects.Named(paramSession, e.Host.Connect),
				func(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
					s, err := find(r.Context(), a, r.Path(paramSession))
					if err != nil {
						return routes.Result{}, err
					}
					return routes.Result{Data: describeManaged(s, a.Info)}, nil
				}),
		},
		{
			Method: http.MethodDelete, Path: "/sessions/{session}", Operation: "endSession",
			Doc: "end a session", Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.AsCaller(hostobjects.Named(paramSession, e.Host.Connect), e.end),
		},
	}
}

func list(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	var options []client.ListOption
	if name := r.Query(paramUser); name != "" {
		if err := routes.CheckSubdomain(paramUser, name); err != nil {
			return routes.Result{}, err
		}
		options = append(options, client.MatchingLabels{names.UserLabel: name})
	}
	var all kubevisionv1alpha1.KubeVisionSessionList
	if err := a.List(r.Context(), &all, options...); err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	out := make([]dashboardv1alpha1.ManagedSession, 0, len(all.Items))
	for i := range all.Items {
		out = append(out, describeManaged(&all.Items[i], a.Info))
	}
	slices.SortFunc(out, func(a, b dashboardv1alpha1.ManagedSession) int {
		return b.CreatedAt.Compare(a.CreatedAt.Time)
	})
	return hostobjects.List(out), nil
}

func find(ctx context.Context, a *hostobjects.Client, id string) (*kubevisionv1alpha1.KubeVisionSession, error) {
	s := &kubevisionv1alpha1.KubeVisionSession{}
	err := a.Find(ctx, id, s, envelope.New(dashboardv1alpha1.CodeNotFound, "there is no session %q", id))
	return s, err
}

func (e *Provider) end(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	ctx := r.Context()
	s, err := find(ctx, a, r.Path(paramSession))
	if err != nil {
		return routes.Result{}, err
	}
	err = client.IgnoreNotFound(a.Delete(ctx, s, hostobjects.UIDPrecondition(s)))
	if err != nil {
		return routes.Result{}, a.WriteError(ctx, err,
			hostobjects.Action("delete", kubevisionv1alpha1.ResourceSessions, s.Name))
	}
	owner := &kubevisionv1alpha1.KubeVisionUser{}
	owner.Name, owner.UID = s.Spec.UserName, s.Spec.UserUID
	e.Audit.Record(ctx, audit.Event{
		Reason: audit.SessionEnded, User: owner, Actor: a.GetName(), Session: s.Name,
		Address: e.Client(r.Request).Address.String(),
	})
	return routes.Result{}, nil
}

// Describe converts s to a response. Session.Current is true if caller uses this session. The response does not contain
// the token hashes and the salt of s.
func Describe(s *kubevisionv1alpha1.KubeVisionSession, caller user.Info) dashboardv1alpha1.Session {
	p, ok := caller.(*authentication.Principal)
	return dashboardv1alpha1.Session{
		ID: s.Name, CreatedAt: s.CreationTimestamp, ExpiresAt: s.Spec.ExpirationTime,
		Address: s.Spec.Client.Address, UserAgent: s.Spec.Client.UserAgent, Current: ok && p.Session == s.Name,
	}
}

func describeManaged(s *kubevisionv1alpha1.KubeVisionSession, caller user.Info) dashboardv1alpha1.ManagedSession {
	return dashboardv1alpha1.ManagedSession{
		Session: Describe(s, caller),
		User:    s.Spec.UserName, AuthenticationMethods: append([]string{}, s.Spec.AuthenticationMethods...),
	}
}
