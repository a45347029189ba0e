// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"net/http"
	"slices"

	"github.com/emicklei/go-restful/v3"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// The path parameters of streams.
const (
	clusterParameter   = "cluster"
	namespaceParameter = "namespace"
	nameParameter      = "name"
)

// admitStream decides whether a request may open a stream, before its endpoint asks about the right to it.
func (t *Table) admitStream(req *restful.Request, r Route) error {
	u, ok := genericapirequest.UserFrom(req.Request.Context())
	if !ok || Anonymous(u) {
		return envelope.Unauthenticated()
	}
	if !r.Events {
		if err := streams.CheckUpgrade(req.Request, r.Verb); err != nil {
			return err
		}
	}
	return t.Streams.Admit(req.Request, u, streams.Target{
		Cluster: req.PathParameter(clusterParameter), Namespace: req.PathParameter(namespaceParameter),
		Pod: req.PathParameter(nameParameter), Verb: r.Verb,
	})
}

// openStream serves a stream. A WebSocket outlives the request, and events are its response.
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

// IsStream returns whether a request is to a route that opens a stream or has a response without an end. The path is
// relative to the root of the API.
func (t *Table) IsStream(method, path string) bool {
	return t.has(method, path, func(r *Route) bool { return r.Verb != "" || r.Endless })
}

// TakesTickets returns whether a ticket may authenticate a request: to a route that opens a stream, and so spends it.
func (t *Table) TakesTickets(method, path string) bool {
	return t.has(method, path, func(r *Route) bool { return r.Verb != "" })
}

func (t *Table) has(method, path string, is func(*Route) bool) bool {
	parts := segments(path)
	return slices.ContainsFunc(t.routes, func(r Route) bool {
		return is(&r) && r.Method == method && matches(segments(r.Path), parts)
	})
}
