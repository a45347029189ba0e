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

// handlerChains returns the library's handler chain for requests outside the API's prefixes, and the chain of
// enveloped requests.
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

// envelopedChain returns the filters of the library that apply to enveloped requests, in the order of
// genericapiserver.DefaultBuildHandlerChain. The limit of requests in flight applies after the body has been read. The
// chain omits CORS and HSTS, which have no options; impersonation, whose headers WithEnvelope refuses; warnings and
// cache headers, which envelopes set; and the durations of single filters, whose measurement takes longer than the
// filters. It also omits the timeout, which would run each request in a separate goroutine: routes bound handlers by
// their contexts, and responses by a deadline.
func envelopedChain(handler http.Handler, c *genericapiserver.Config, bodies *filters.Bodies) http.Handler {
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
