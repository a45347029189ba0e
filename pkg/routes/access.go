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
	// RuleReviewed allows authenticated users who pass the access check of the endpoint, for example a
	// SubjectAccessReview.
	RuleReviewed Rule = "Reviewed"
)

// Result is the successful result of a handler. It is sent as an envelope with Data and Meta, or as Raw or Stream if
// one of these is set.
type Result struct {
	// Data is the value of the envelope's data field.
	Data any
	// Meta is the value of the envelope's meta field, without the request id.
	Meta dashboardv1alpha1.Meta
	// Raw is the response that is sent instead of an envelope, or nil.
	Raw *Raw
	// Stream handles the stream that the endpoint opens, or is nil. Only routes with a Verb may set it.
	Stream *streams.Handler
	// Tag is the ETag of Data for this caller, or empty. If the If-None-Match header of the request matches Tag, Data
	// is not sent.
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

// Self returns an endpoint for authenticated users. The endpoint rejects anonymous requests. The handler must access
// only data of the caller.
func Self(handler func(*Request, user.Info) (Result, error)) Endpoint {
	return Endpoint{rule: RuleSelf, serve: authenticated(handler)}
}

// AsCaller returns an endpoint for authenticated users. Its handler gets a client that acts as the caller. If newClient
// returns an error, for example because the caller cannot be impersonated, that error is the response.
func AsCaller[C any](
	newClient func(*Request, user.Info) (C, error), handler func(*Request, C) (Result, error),
) Endpoint {
	return Endpoint{rule: RuleAsCaller, serve: authenticated(func(r *Request, u user.Info) (Result, error) {
		client, err := newClient(r, u)
		if err != nil {
			return Result{}, err
		}
		return handler(r, client)
	})}
}

// Reviewed returns an endpoint for authenticated users. It calls review() to check their access, and passes the result
// to handler(). If review() returns an error, that error is the response and handler() is not called.
func Reviewed[G any](review func(*Request, user.Info) (G, error), handler func(*Request, G) (Result, error)) Endpoint {
	return Endpoint{rule: RuleReviewed, serve: authenticated(func(r *Request, u user.Info) (Result, error) {
		granted, err := review(r, u)
		if err != nil {
			return Result{}, err
		}
		return handler(r, granted)
	})}
}

// authenticated returns a handler that calls the given handler with the authenticated user of the request. It rejects
// anonymous requests with the code 40100, and requests with options that the route does not have (see checkOptions).
// The HTTP filters do not reject anonymous requests, because public endpoints accept them.
func authenticated(handler func(*Request, user.Info) (Result, error)) func(*Request) (Result, error) {
	return func(r *Request) (Result, error) {
		u, ok := genericapirequest.UserFrom(r.Context())
		if !ok {
			return Result{}, envelope.Internal(errors.New("an authenticated route has no user in its context"))
		}
		if IsAnonymous(u) {
			return Result{}, envelope.Unauthenticated()
		}
		if err := r.checkOptions(); err != nil {
			return Result{}, err
		}
		return handler(r, u)
	}
}

// IsAnonymous returns true if u has no name, is system:anonymous, or is in the group system:unauthenticated.
func IsAnonymous(u user.Info) bool {
	return u.GetName() == "" || u.GetName() == user.Anonymous || slices.Contains(u.GetGroups(), user.AllUnauthenticated)
}
