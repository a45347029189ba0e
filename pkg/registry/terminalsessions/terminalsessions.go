// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package terminalsessions lists recorded terminals and returns their recordings.
package terminalsessions

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// Group is the API group of the virtual resource terminalsessions. The resource exists only in RBAC rules, for
	// access reviews on the host. It is not in the group of the aggregated API (dashboard.kubevision.io), because all
	// authenticated users may access all resources of that group.
	Group = kubevisionv1alpha1.GroupName
	// Resource is the name of recorded terminals in RBAC rules.
	Resource = "terminalsessions"

	sessionParameter = "session"
	offsetParameter  = "offset"
	limitParameter   = "limit"
	defaultLimit     = 50
	maxLimit         = 200
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Recordings stores the recordings. It is nil if terminals are not recorded.
	Recordings *recording.Store
	Reviewer   *authorization.Reviewer
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/terminal-sessions", Operation: "listTerminalSessions",
			Doc:     "list the recorded terminals, the newest first",
			Returns: dashboardv1alpha1.TerminalSessionListEnvelope{},
			Parameters: map[string]string{
				offsetParameter: "the number of terminals to skip",
				limitParameter:  "the number of terminals to return: 50 by default, and 200 at most",
			},
			Types:    map[string]routes.Type{offsetParameter: routes.Integer(), limitParameter: routes.Integer()},
			Endpoint: routes.Reviewed(p.mayList, p.list),
		},
		{
			Method: http.MethodGet, Path: "/terminal-sessions/{session}/play", Operation: "playTerminalSession",
			Doc:        "get a recorded terminal as a file of asciinema",
			Returns:    dashboardv1alpha1.TerminalRecordingEnvelope{},
			Parameters: map[string]string{sessionParameter: "the id of the recording"},
			Endpoint:   routes.Reviewed(p.mayPlay, p.play),
		},
	}
}

type granted struct{}

// mayList reviews whether u may list recordings. If terminals are not recorded, no review is needed, because the list
// is empty.
func (p *Provider) mayList(r *routes.Request, u user.Info) (granted, error) {
	if p.Recordings == nil {
		return granted{}, nil
	}
	return granted{}, p.review(r.Context(), u, "list", "")
}

func (p *Provider) mayPlay(r *routes.Request, u user.Info) (granted, error) {
	if p.Recordings == nil {
		return granted{}, envelope.New(dashboardv1alpha1.CodeConflict, "KubeVision records no terminals here")
	}
	return granted{}, p.review(r.Context(), u, "get", r.Path(sessionParameter))
}

func (p *Provider) review(ctx context.Context, u user.Info, verb, name string) error {
	allowed, err := p.Reviewer.Allowed(ctx, u, &authorizationv1.ResourceAttributes{
		Group: Group, Resource: Resource, Verb: verb, Name: name,
	})
	switch {
	case err != nil:
		return authorization.NewReviewFailed(err)
	case !allowed:
		return envelope.New(dashboardv1alpha1.CodeForbidden, "you may not %s recorded terminals", verb)
	default:
		return nil
	}
}

func (p *Provider) list(r *routes.Request, _ granted) (routes.Result, error) {
	offset, err := number(r, offsetParameter, 0)
	if err != nil {
		return routes.Result{}, err
	}
	limit, err := number(r, limitParameter, defaultLimit)
	if err != nil {
		return routes.Result{}, err
	}
	out := []dashboardv1alpha1.TerminalSession{}
	if p.Recordings == nil {
		return routes.Result{Data: out, Meta: dashboardv1alpha1.Meta{Total: new(int64)}}, nil
	}
	found, total, err := p.Recordings.List(r.Context(), offset, min(limit, maxLimit))
	if err != nil {
		return routes.Result{}, failed(err)
	}
	for i := range found {
		out = append(out, sessionOf(&found[i]))
	}
	count := int64(total)
	return routes.Result{Data: out, Meta: dashboardv1alpha1.Meta{Total: &count}}, nil
}

func number(r *routes.Request, name string, absent int) (int, error) {
	text := r.Query(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, envelope.Invalid(name, "%s must be a non-negative integer", name)
	}
	return int(n), nil
}

func sessionOf(s *recording.Summary) dashboardv1alpha1.TerminalSession {
	out := dashboardv1alpha1.TerminalSession{
		ID: s.ID, CreatedAt: metav1.NewTime(s.Began), UserID: s.User, Cluster: s.Cluster, Namespace: s.Namespace,
		Pod: s.Pod, Container: s.Container, Verb: s.Verb, Command: s.Command,
		Part:       int32(s.Part), //nolint:gosec // it is small
		DurationMS: s.Duration.Milliseconds(), Bytes: s.Bytes, Encrypted: s.Encrypted,
	}
	if !s.Expires.IsZero() {
		out.ExpiresAt = &metav1.Time{Time: s.Expires}
	}
	return out
}

func (p *Provider) play(r *routes.Request, _ granted) (routes.Result, error) {
	id := r.Path(sessionParameter)
	summary, err := p.Recordings.Get(r.Context(), id)
	if err != nil {
		return routes.Result{}, failed(err)
	}
	text, err := p.Recordings.Open(r.Context(), id)
	if err != nil {
		return routes.Result{}, failed(err)
	}
	defer func() { _ = text.Close() }()
	of := dashboardv1alpha1.TerminalRecording{ID: id, DurationMS: summary.Duration.Milliseconds()}
	data, err := encode(io.LimitReader(text, min(summary.Bytes, recording.MaxFileBytes)), of,
		budget.AccountFrom(r.Context()))
	if err != nil {
		return routes.Result{}, failed(err)
	}
	return routes.Result{Data: data}, nil
}

// failed converts an error of recording.Store to an error with a code. The text of the original error is not sent to
// the caller.
func failed(err error) error {
	switch {
	case errors.Is(err, recording.ErrNotFound):
		return envelope.New(dashboardv1alpha1.CodeNotFound, "there is no such recording")
	case errors.Is(err, budget.ErrExceeded):
		return envelope.OutOfMemory(err)
	}
	return envelope.New(dashboardv1alpha1.CodeUnreachable, "the recordings cannot be read").WithCause(err)
}
