// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"net/http"
	"slices"
	"strings"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Path parameters of streams.
const (
	clusterParameter   = "cluster"
	namespaceParameter = "namespace"
	nameParameter      = "name"
)

// admitStream returns an error if the request may not open a stream. The request must not be anonymous, and its origin
// and ticket must be valid. If the route opens a WebSocket, the request must be a valid WebSocket upgrade. admitStream
// is called before the access review of the endpoint.
func (t *Table) admitStream(req *http.Request, path map[string]string, r Route) error {
	u, ok := genericapirequest.UserFrom(req.Context())
	if !ok || IsAnonymous(u) {
		return envelope.Unauthenticated()
	}
	if !r.Events {
		if err := streams.CheckUpgrade(req, r.Verb); err != nil {
			return err
		}
	}
	target := streams.Target{
		Cluster: path[clusterParameter], Namespace: path[namespaceParameter], Verb: r.Verb,
	}
	if r.isOfPod() { // on other routes, the name is that of a workload or a Service
		target.Pod = path[nameParameter]
	}
	return t.Streams.Admit(req, u, target)
}

// isOfPod returns true if the name in the path of the route is the name of a Pod.
func (r *Route) isOfPod() bool { return strings.Contains(r.Path+"/", "/pods/{"+nameParameter+"}/") }

func refuseTicket(ctx context.Context) error {
	// Only the opening of a stream marks a ticket as used. For other requests, a ticket could be used several times.
	if streams.CredentialsFrom(ctx).Ticket == "" {
		return nil
	}
	return envelope.New(dashboardv1alpha1.CodeUnauthenticated,
		"a ticket is not accepted, because this request opens no stream: send an access token in a header")
}

// openStream opens the stream of a route. The stream is handled by h. For a WebSocket, openStream returns as soon as
// the connection is hijacked. For server-sent events, it returns at the end of the stream.
func (t *Table) openStream(
	ctx context.Context, w http.ResponseWriter, r *http.Request, route Route, h *streams.Handler,
) {
	open := t.Streams.Open
	if route.Events {
		open = t.Streams.OpenEvents
	}
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		envelope.WriteError(ctx, w, envelope.Unauthenticated())
		return
	}
	if err := open(w, r, u, route.Verb, h); err != nil {
		envelope.WriteError(ctx, w, err)
	}
}

// IsLongRunning returns true if the route with this method and path opens a stream, or if its response has no time
// limit. path is relative to the root of the API.
func (t *Table) IsLongRunning(method, path string) bool {
	return t.contains(method, path, func(pattern) bool { return true })
}

// OpensStream returns true if the route with this method and path opens a stream. path is relative to the root of the
// API.
func (t *Table) OpensStream(method, path string) bool {
	return t.contains(method, path, func(p pattern) bool { return p.isStream })
}

func (t *Table) contains(method, path string, accept func(pattern) bool) bool {
	parts := segments(path)
	return slices.ContainsFunc(t.longRunning, func(p pattern) bool {
		return p.method == method && accept(p) && matches(p.path, parts)
	})
}

// pattern is the method and path of a route that opens a stream, or whose response has no time limit.
type pattern struct {
	method string
	path   []string
	// isStream is true if the route opens a stream.
	isStream bool
}
