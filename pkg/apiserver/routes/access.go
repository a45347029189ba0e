// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"errors"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
)

// Rule is an access rule: who may call an endpoint, and with whose rights it acts.
type Rule string

// The access rules.
const (
	// RulePublic is for those who have no credential yet.
	RulePublic Rule = "Public"
	// RuleSelf is for anybody logged in, about themselves.
	RuleSelf Rule = "Self"
	// RuleAsCaller is for anybody logged in; the endpoint acts on the host cluster as the caller, and the host's RBAC answers.
	RuleAsCaller Rule = "AsCaller"
	// RuleReviewed is for those whom an access review lets pass.
	RuleReviewed Rule = "Reviewed"
)

// Result is what an endpoint answers with.
type Result struct {
	// Data goes into the envelope's data.
	Data any
	// Meta goes into the envelope's meta; the request id is added.
	Meta dashboardv1alpha1.Meta
}

// Endpoint is a handler with its access rule. Only the constructors of this package make one.
type Endpoint struct {
	rule  Rule
	serve func(*Request) (any, dashboardv1alpha1.Meta, error)
}

// Rule is the endpoint's access rule.
func (e Endpoint) Rule() Rule { return e.rule }

// Public makes an endpoint that anybody may call. It is not told who calls.
func Public(handler func(*Request) (Result, error)) Endpoint {
	return Endpoint{rule: RulePublic, serve: func(r *Request) (any, dashboardv1alpha1.Meta, error) {
		return split(handler(r))
	}}
}

// Self makes an endpoint about the caller.
func Self(handler func(*Request, user.Info) (Result, error)) Endpoint {
	return Endpoint{rule: RuleSelf, serve: authenticated(handler)}
}

// AsCaller makes an endpoint whose handler gets a client that acts as the caller; connect makes that client and fails for somebody
// whom nobody may act for.
func AsCaller[C any](connect func(*Request, user.Info) (C, error), handler func(*Request, C) (Result, error)) Endpoint {
	return Endpoint{rule: RuleAsCaller, serve: authenticated(func(r *Request, u user.Info) (Result, error) {
		client, err := connect(r, u)
		if err != nil {
			return Result{}, err
		}
		return handler(r, client)
	})}
}

// Reviewed makes an endpoint whose handler gets what the review lets the caller have; the review's error is the answer for everybody
// else.
func Reviewed[G any](review func(*Request, user.Info) (G, error), handler func(*Request, G) (Result, error)) Endpoint {
	return Endpoint{rule: RuleReviewed, serve: authenticated(func(r *Request, u user.Info) (Result, error) {
		granted, err := review(r, u)
		if err != nil {
			return Result{}, err
		}
		return handler(r, granted)
	})}
}

func split(res Result, err error) (any, dashboardv1alpha1.Meta, error) {
	return res.Data, res.Meta, err
}

// authenticated refuses the anonymous once more, whatever the chain in front has let through.
func authenticated(handler func(*Request, user.Info) (Result, error)) func(*Request) (any, dashboardv1alpha1.Meta, error) {
	return func(r *Request) (any, dashboardv1alpha1.Meta, error) {
		u, ok := genericapirequest.UserFrom(r.Context())
		if !ok {
			return nil, dashboardv1alpha1.Meta{}, envelope.Internal(errors.New("no user in the context of an authenticated route"))
		}
		if Anonymous(u) {
			return nil, dashboardv1alpha1.Meta{}, envelope.Unauthenticated()
		}
		return split(handler(r, u))
	}
}

// Anonymous says whether a user is nobody in particular.
func Anonymous(u user.Info) bool {
	return u.GetName() == "" || u.GetName() == user.Anonymous || slices.Contains(u.GetGroups(), user.AllUnauthenticated)
}
