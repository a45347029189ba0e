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

// admitStream returns an error if a request may not open a stream. It is called before the endpoint reviews the right
// of the caller.
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

// isOfPod returns true if the path of the route names a Pod.
func (r *Route) isOfPod() bool { return strings.Contains(r.Path+"/", "/pods/{"+nameParameter+"}/") }

// refuseTicket rejects a ticket in the URL of a request that does not open a stream, because only streams mark tickets
// as used.
func refuseTicket(ctx context.Context) error {
	if streams.CredentialsFrom(ctx).Ticket == "" {
		return nil
	}
	return envelope.New(dashboardv1alpha1.CodeUnauthenticated,
		"a ticket is not accepted, because this request opens no stream: send an access token in a header")
}

// openStream serves a stream. A WebSocket outlives the request. Server-sent events are the response to the request.
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

// IsLongRunning returns true if a request opens a stream or has a response without an end. The path is relative to the
// root of the API.
func (t *Table) IsLongRunning(method, path string) bool {
	return t.contains(method, path, func(pattern) bool { return true })
}

// OpensStream returns true if a request opens a stream and may therefore have a ticket. The path is relative to the
// root of the API.
func (t *Table) OpensStream(method, path string) bool {
	return t.contains(method, path, func(p pattern) bool { return p.stream })
}

func (t *Table) contains(method, path string, accept func(pattern) bool) bool {
	parts := segments(path)
	return slices.ContainsFunc(t.longRunning, func(p pattern) bool {
		return p.method == method && accept(p) && matches(p.path, parts)
	})
}

// pattern is the method and the segments of the path of a route without a time limit.
type pattern struct {
	method string
	path   []string
	// stream is true if the route opens a stream.
	stream bool
}
