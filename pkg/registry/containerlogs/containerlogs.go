// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package containerlogs serves the logs of one container, or the merged logs of the Pods of a workload or a label
// selector. A log is followed across restarts of its container. Long lines are truncated, and invalid UTF-8 is
// replaced. Nothing else in a line is changed.
package containerlogs

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
	// Session returns an error if the login session of u has ended.
	Session func(ctx context.Context, u user.Info) error
}

const (
	gzipParameter     = "gzip"
	selectorParameter = "labelSelector"

	inNamespace = "/namespaces/{namespace}"
	textPrefix  = "/clusters/{cluster}/log" + inNamespace // kube-apiserver has no timeout for the subresource log.
	// socketPrefix is the common beginning of all paths that open a WebSocket with logs.
	socketPrefix = "/clusters/{cluster}" + inNamespace
)

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	forms := []struct {
		operation, path, socket, doc string
		selects                      selectFunc
	}{
		{"Pod", "/pods/{name}", "/pods/{name}/logs", "the log of a container of a Pod", onePod},
		{"Selector", "/pods", "/logs", "the logs of the Pods that labelSelector matches, merged", bySelector},
		{
			"Workload", "/{resource}/{name}", "/{resource}/{name}/logs", "the logs of the Pods of a workload, merged",
			ofWorkload,
		},
	}
	out := make([]routes.Route, 0, 2*len(forms))
	for _, f := range forms {
		socket := routes.Route{
			Method: http.MethodGet, Path: socketPrefix + f.socket, Operation: "open" + f.operation + "Log",
			Verb: streams.VerbLogs, Doc: "open a WebSocket with " + f.doc, Returns: dashboardv1alpha1.Envelope{},
			Endpoint: reviewed(p, f.selects, p.socket),
		}
		socket.Parameters, socket.Types = parameters(socket.Path)
		text := routes.Route{
			Method: http.MethodGet, Path: textPrefix + f.path, Operation: "get" + f.operation + "Log", Endless: true,
			Doc: "send " + f.doc + ", as text", Returns: dashboardv1alpha1.Envelope{},
			Endpoint: reviewed(p, f.selects, p.text),
		}
		text.Parameters, text.Types = parameters(text.Path)
		text.Parameters[gzipParameter], text.Types[gzipParameter] = "send a compressed file", routes.Boolean()
		if f.operation == "Selector" {
			socket.Parameters[selectorParameter] = "the labels of the Pods; empty for all"
			text.Parameters[selectorParameter] = socket.Parameters[selectorParameter]
		}
		out = append(out, socket, text)
	}
	return out
}

// parameters returns the documentation and the types of the path and query parameters of a route.
func parameters(path string) (docs map[string]string, types map[string]routes.Type) {
	docs, types = optionParameters()
	for name, doc := range objectref.Docs() {
		if strings.Contains(path, "{"+name+"}") {
			docs[name] = doc
		}
	}
	return docs, types
}

// granted is the result of a successful access review: the selected logs, the user who may read them, and the name of
// their cluster.
type granted struct {
	selection *selection
	user      user.Info
	cluster   string
}

type selectFunc func(r *routes.Request, s *selection) error

// reviewed returns an endpoint that checks the rights of the caller before it serves logs. First, the endpoint calls
// selects, which determines the requested logs. If the caller may not read these logs, the endpoint returns an error.
// Otherwise, it calls serve, which makes the response.
func reviewed(
	p *Provider, selects selectFunc, serve func(*routes.Request, *granted) (routes.Result, error),
) routes.Endpoint {
	return routes.Reviewed(func(r *routes.Request, u user.Info) (*granted, error) {
		caller, err := p.Access.Cluster(r, u)
		if err != nil {
			return nil, err
		}
		s := &selection{caller: caller, namespace: r.Path(objectref.Namespace)}
		if s.options, err = parseOptions(r, time.Now()); err != nil {
			return nil, err
		}
		pods, err := objectref.Find(r.Context(), caller, "get", podResource, s.namespace, "")
		if err != nil {
			return nil, err
		}
		s.resource = pods.Resource
		if err := selects(r, s); err != nil {
			return nil, err
		}
		return &granted{selection: s, user: u, cluster: r.Path(authorization.ClusterParameter)},
			authorization.Require(r.Context(), caller, attributes(s.namespace, s.pod))
	}, serve)
}

func onePod(r *routes.Request, s *selection) error {
	s.pod = r.Path(objectref.Name)
	return routes.CheckSubdomain(objectref.Name, s.pod)
}

func bySelector(r *routes.Request, s *selection) error {
	parsed, err := metav1.ParseToLabelSelector(r.Query(selectorParameter))
	if err == nil {
		_, err = metav1.LabelSelectorAsSelector(parsed)
	}
	if err != nil {
		return envelope.Invalid(selectorParameter, "%s: %s", selectorParameter, err.Error())
	}
	s.selector = r.Query(selectorParameter)
	return nil
}

func ofWorkload(r *routes.Request, s *selection) error {
	target, err := objectref.ReadObject(r, s.caller, "get")
	if err != nil {
		return err
	}
	s.selector, err = selectorOf(r.Context(), s.caller, target)
	return err
}

// check repeats the access review of g. It returns an error if the user may no longer read the logs.
func (p *Provider) check(ctx context.Context, g *granted) error {
	caller, err := p.Access.ClusterByName(ctx, g.user, g.cluster)
	if err != nil {
		return err
	}
	return authorization.Require(ctx, caller, attributes(g.selection.namespace, g.selection.pod))
}

// read calls emit with each line of the selected logs. It returns at the end of the logs, or when ctx ends. If emit
// returns an error, read returns it.
func (s *selection) read(ctx context.Context, emit func(event) error) error {
	found, err := s.sources(ctx)
	if err != nil {
		return err
	}
	if s.several() && s.options.follow {
		return (&follower{set: s, emit: emit}).follow(ctx, found)
	}
	opened, err := open(ctx, found)
	if err != nil {
		return err
	}
	if s.several() {
		return byTime(found, opened, emit)
	}
	return found[0].read(ctx, opened[0], func(line Line) error { return emit(event{line: line}) })
}

// open requests the logs of all sources. If one request fails, it closes the logs that are already open, and returns
// the error.
func open(ctx context.Context, sources []*source) (opened []io.ReadCloser, err error) {
	for _, s := range sources {
		one, err := s.open(ctx)
		if err != nil {
			for _, o := range opened {
				_ = o.Close()
			}
			return nil, s.failed(ctx, err)
		}
		opened = append(opened, one)
	}
	return opened, nil
}
