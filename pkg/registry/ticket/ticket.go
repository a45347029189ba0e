// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ticket serves the endpoint that issues tickets. A ticket is a short-lived credential that opens one stream.
// Browsers need tickets because they cannot set headers on a WebSocket. They send the ticket in the URL of the stream.
package ticket

import (
	"net/http"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/stepup"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Provider provides the endpoint of this package.
type Provider struct {
	Tickets *authentication.Tickets
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodPost, Path: "/ws/ticket", Operation: "createTicket",
		Doc:   "get a ticket that opens one stream within 30 seconds",
		Reads: dashboardv1alpha1.TicketRequest{}, BodyOptional: true, Returns: dashboardv1alpha1.TicketEnvelope{},
		Endpoint: routes.Self(p.create),
	}}
}

func (p *Provider) create(r *routes.Request, u user.Info) (routes.Result, error) {
	principal, ok := u.(*authentication.Principal)
	if !ok {
		return routes.Result{}, envelope.New(dashboardv1alpha1.CodeConflict,
			"only sessions of KubeVision get tickets: open the stream with the credential of this request")
	}
	body, err := read(r)
	if err != nil {
		return routes.Result{}, err
	}
	proved := r.FreshCode() != ""
	if proved {
		if err := stepup.Require(r.Context()); err != nil {
			return routes.Result{}, err
		}
	}
	ticket, err := p.Tickets.Issue(principal, authentication.Ticket{
		Cluster: body.Cluster, Namespace: body.Namespace, Pod: body.Pod, Verb: body.Verb, Proved: proved,
	})
	if err != nil {
		return routes.Result{}, err
	}
	expires := int64(authentication.TicketTTL.Seconds())
	return routes.Result{Data: dashboardv1alpha1.Ticket{Ticket: ticket, ExpiresIn: expires}}, nil
}

func read(r *routes.Request) (dashboardv1alpha1.TicketRequest, error) {
	body := dashboardv1alpha1.TicketRequest{}
	if err := r.ReadOptionalJSON(&body); err != nil {
		return body, err
	}
	for _, part := range []struct {
		field, value string
		check        func(field, value string) error
	}{
		{"cluster", body.Cluster, routes.CheckSubdomain},
		{"namespace", body.Namespace, routes.CheckLabel},
		{"pod", body.Pod, routes.CheckSubdomain},
		{"verb", body.Verb, checkVerb},
	} {
		if part.value == "" {
			continue
		}
		if err := part.check(part.field, part.value); err != nil {
			return body, err
		}
	}
	return body, nil
}

func checkVerb(field, value string) error {
	if verbs := streams.Verbs(); !slices.Contains(verbs, value) {
		return envelope.Invalid(field, "%s must be one of %s", field, strings.Join(verbs, ", "))
	}
	return nil
}
