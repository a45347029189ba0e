// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"errors"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Rule is an access rule: it determines who may call an endpoint, and with which rights the endpoint acts.
type Rule string

// Values of Rule.
const (
	// RulePublic allows anonymous requests.
	RulePublic Rule = "Public"
	// RuleSelf allows authenticated users. The endpoint accesses only data of the caller.
	RuleSelf Rule = "Self"
	// RuleAsCaller allows authenticated users. The endpoint acts on the host cluster as the caller, and the RBAC of the
	// host authorizes it.
	RuleAsCaller Rule = "AsCaller"
	// RuleReviewed allows callers for whom an access review succeeds.
	RuleReviewed Rule = "Reviewed"
)

// Result is the result of a handler.
type Result struct {
	// Data is the data of the envelope.
	Data any
	// Meta is the meta of the envelope. The request id is added to it.
	Meta dashboardv1alpha1.Meta
	// Raw replaces the envelope.
	Raw *Raw
	// Stream replaces the envelope, in a route with a Verb.
	Stream *streams.Handler
	// Tag is the entity tag of the data for this caller. It may be empty. If the client already has data with this tag,
	// the data are not sent.
	Tag string
}

// Endpoint is a handler with its access rule. Only the constructors of this package create endpoints.
type Endpoint struct {
	rule  Rule
	serve func(*Request) (Result, error)
}

// Rule returns the access rule of the endpoint.
func (e Endpoint) Rule() Rule { return e.rule }

// Public returns an endpoint that anyone may call. The handler does not get the identity of the caller.
func Public(handler func(*Request) (Result, error)) Endpoint {
	return Endpoint{rule: RulePublic, serve: handler}
}

// Self returns an endpoint that accesses only data of the caller. Anonymous callers are rejected.
func Self(handler func(*Request, user.Info) (Result, error)) Endpoint {
	return Endpoint{rule: RuleSelf, serve: authenticated(handler)}
}

// AsCaller returns an endpoint whose handler gets a client that acts as the caller. connect creates that client, and
// returns an error for a caller who cannot be impersonated.
func AsCaller[C any](connect func(*Request, user.Info) (C, error), handler func(*Request, C) (Result, error)) Endpoint {
	return Endpoint{rule: RuleAsCaller, serve: authenticated(func(r *Request, u user.Info) (Result, error) {
		client, err := connect(r, u)
		if err != nil {
			return Result{}, err
		}
		return handler(r, client)
	})}
}

// Reviewed returns an endpoint whose handler gets the result of the review. If the review fails, its error is the
// response.
func Reviewed[G any](review func(*Request, user.Info) (G, error), handler func(*Request, G) (Result, error)) Endpoint {
	return Endpoint{rule: RuleReviewed, serve: authenticated(func(r *Request, u user.Info) (Result, error) {
		granted, err := review(r, u)
		if err != nil {
			return Result{}, err
		}
		return handler(r, granted)
	})}
}

// authenticated rejects anonymous requests, even if the filters have accepted them.
func authenticated(handler func(*Request, user.Info) (Result, error)) func(*Request) (Result, error) {
	return func(r *Request) (Result, error) {
		u, ok := genericapirequest.UserFrom(r.Context())
		if !ok {
			return Result{}, envelope.Internal(errors.New("an authenticated route has no user in its context"))
		}
		if IsAnonymous(u) {
			return Result{}, envelope.Unauthenticated()
		}
		return handler(r, u)
	}
}

// IsAnonymous returns true for an anonymous user.
func IsAnonymous(u user.Info) bool {
	return u.GetName() == "" || u.GetName() == user.Anonymous || slices.Contains(u.GetGroups(), user.AllUnauthenticated)
}
