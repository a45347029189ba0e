// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"

	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"

	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// handlerChains returns a handler with two chains of filters. Requests to KubeVision's API pass through envelopedChain.
// All other requests pass through the default chain of k8s.io/apiserver.
func handlerChains(
	handler http.Handler, c *genericapiserver.Config, table *routes.Table, bodies *filters.Bodies,
	questions filters.DelegationLimit,
) http.Handler {
	enveloped := envelopedChain(table.Handler(handler), c, bodies)
	others := filters.WithDelegationLimit(genericapiserver.DefaultBuildHandlerChain(handler, c), questions)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filters.UnderAPI(r.URL.Path) {
			enveloped.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// envelopedChain wraps handler in the filters of k8s.io/apiserver that KubeVision's API needs. It omits some filters of
// DefaultBuildHandlerChain.
func envelopedChain(handler http.Handler, c *genericapiserver.Config, bodies *filters.Bodies) http.Handler {
	// These filters, among others, are omitted:
	//   - CORS and HSTS, because this server has no flags for them
	//   - impersonation, because WithEnvelope rejects requests with Impersonate-* headers
	//   - warnings and cache headers, because envelopes contain the warnings, and WithEnvelope sets Cache-Control
	//   - the latency of each filter, because the measurement takes longer than the filters themselves
	//   - the timeout, because it would run each request in a separate goroutine. Instead, routes limit their handlers
	//     with contexts, and a write deadline limits responses.

	// DefaultBuildHandlerChain counts a request in flight before its body is read. Here, this filter comes after the
	// body, so that clients that send their bodies slowly do not use up the limit.
	handler = genericfilters.WithMaxInFlightLimit(handler, c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight,
		c.LongRunningFunc)
	handler = filters.WithBody(handler, bodies)
	handler = genericapifilters.WithAuthorization(handler, c.Authorization.Authorizer, c.Serializer)
	handler = genericapifilters.WithAudit(handler, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc)
	failed := genericapifilters.WithFailedAuthenticationAudit(genericapifilters.Unauthorized(c.Serializer),
		c.AuditBackend, c.AuditPolicyRuleEvaluator)
	handler = genericapifilters.WithAuthentication(handler, c.Authentication.Authenticator, failed,
		c.Authentication.APIAudiences, c.Authentication.RequestHeaderConfig)
	handler = genericapifilters.WithRequestDeadline(handler, c.AuditBackend, c.AuditPolicyRuleEvaluator,
		c.LongRunningFunc, c.Serializer, c.RequestTimeout)
	handler = genericfilters.WithWaitGroup(handler, c.LongRunningFunc, c.NonLongRunningRequestWaitGroup)
	handler = genericfilters.WithHTTPLogging(handler)
	handler = genericapifilters.WithRequestInfo(handler, c.RequestInfoResolver)
	handler = genericapifilters.WithRequestReceivedTimestamp(handler)
	handler = genericfilters.WithPanicRecovery(handler, c.RequestInfoResolver)
	return genericapifilters.WithAuditInit(handler)
}
