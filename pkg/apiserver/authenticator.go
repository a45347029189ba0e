// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/autherrors"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// requestAuthenticator authenticates requests. For paths of KubeVision's API, it accepts these credentials:
//   - an access token
//   - a ticket, which a client sends in the query to open a stream
//   - the client certificate of kube-apiserver, together with X-Remote-* headers
//
// An anonymous request to such a path may call only public routes. Requests to all other paths, such as discovery and
// metrics, are authenticated as in any aggregated API server.
type requestAuthenticator struct {
	tokens     *authentication.Tokens
	tickets    *authentication.Tickets
	frontProxy authenticator.Request
	delegated  authenticator.Request
	// table tells which routes are public. It also tells which routes a user may call while a change of the password or
	// the set-up of a second factor is required.
	table *routes.Table
}

// newFrontProxy returns an authenticator that reads X-Remote-* headers. The client certificate of the request must be
// signed by the request-header CA, and must have an allowed name.
func newFrontProxy(c *authenticatorfactory.RequestHeaderConfig) (authenticator.Request, error) {
	if c == nil || c.CAContentProvider == nil {
		return nil, errors.New("no request-header CA is configured, so kube-apiserver cannot be authenticated")
	}
	return group.NewAuthenticatedGroupAdder(
		headerrequest.NewDynamicVerifyOptionsSecure(c.CAContentProvider.VerifyOptions,
			c.AllowedClientNames, c.UsernameHeaders, c.UIDHeaders, c.GroupHeaders, c.ExtraHeaderPrefixes)), nil
}

// AuthenticateRequest implements authenticator.Request. For paths of KubeVision's API, the returned error is always
// nil, so that k8s.io/apiserver does not log rejections. If a token or ticket is rejected, the reason is stored in the
// envelope.State of the request. Other paths, such as /metrics, are authenticated as in any aggregated API server.
func (a *requestAuthenticator) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	if !filters.UnderAPI(r.URL.Path) {
		return a.delegated.AuthenticateRequest(r)
	}
	response, ok, err := a.authenticate(r)
	if state := envelope.StateFrom(r.Context()); state != nil && ok {
		state.SetUser(response.User.GetName())
	}
	return response, ok, err
}

func (a *requestAuthenticator) authenticate(r *http.Request) (*authenticator.Response, bool, error) {
	raw, present := accessToken(r.Header)
	r.Header.Del(dashboardv1alpha1.TokenHeader)
	if present {
		principal, err := a.tokens.Authenticate(r.Context(), raw)
		return a.responseFor(r, principal, err)
	}
	if path, ok := routes.BelowRoot(r.URL.Path); ok && a.table.OpensStream(r.Method, path) {
		switch found := streams.CredentialsFrom(r.Context()); {
		case found.Token != "": // filters.WithTokenInQuery has verified the path
			principal, err := a.tokens.Authenticate(r.Context(), found.Token)
			return a.responseFor(r, principal, err)
		case found.Ticket != "":
			principal, err := a.tickets.Authenticate(r.Context(), found.Ticket)
			return a.responseFor(r, principal, err)
		}
	}
	response, ok, err := a.frontProxy.AuthenticateRequest(r)
	if err != nil {
		klog.FromContext(r.Context()).V(2).Info("Client certificate refused", "reason", err.Error())
	}
	if err == nil && ok && !routes.IsAnonymous(response.User) {
		return response, true, nil
	}
	if path, ok := routes.BelowRoot(r.URL.Path); ok && a.table.IsPublic(r.Method, path) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: user.Anonymous,
			Groups: []string{user.AllUnauthenticated}}}, true, nil
	}
	return nil, false, nil
}

func (a *requestAuthenticator) responseFor(
	r *http.Request, principal *authentication.Principal, err error,
) (*authenticator.Response, bool, error) {
	path, _ := routes.BelowRoot(r.URL.Path)
	var failure *envelope.Error
	switch {
	case errors.Is(err, token.ErrExpired):
		failure = envelope.TokenExpired().WithCause(err)
	case errors.Is(err, authentication.ErrSessionEnded):
		failure = envelope.SessionEnded().WithCause(err)
	case errors.Is(err, authentication.ErrUnavailable):
		failure = envelope.Internal(err)
	case errors.Is(err, authentication.ErrTicketExpired):
		failure = ticketError("the ticket has expired: get another one").WithCause(err)
	case err != nil:
		failure = envelope.Unauthenticated().WithCause(err)
	case principal.SetupRequired && !a.table.DuringSetup(r.Method, path):
		failure = autherrors.SetupRequired(a.table.SetupCode(r.Method, path))
	case principal.PasswordChangeRequired && !a.table.DuringPasswordChange(r.Method, path):
		failure = autherrors.PasswordChangeRequired()
	default:
		return &authenticator.Response{User: principal}, true, nil
	}
	if state := envelope.StateFrom(r.Context()); state != nil {
		state.SetFailure(failure) // filters.WithEnvelope sends it to the client.
	}
	return nil, false, nil // k8s.io/apiserver would log an error.
}

// accessToken returns the access token in the headers. It returns false if the headers X-KubeVision-Token and
// Authorization are absent. X-KubeVision-Token has precedence, even if it is empty. If the scheme in Authorization is
// not Bearer, accessToken returns an empty token.
func accessToken(h http.Header) (string, bool) {
	if values := h.Values(dashboardv1alpha1.TokenHeader); len(values) > 0 {
		return strings.TrimSpace(values[0]), true
	}
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", false
	}
	scheme, raw, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true // Credentials of other schemes are rejected.
	}
	return strings.TrimSpace(raw), true
}
