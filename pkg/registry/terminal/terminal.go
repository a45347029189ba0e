// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package terminal runs commands in containers, and attaches to containers, through WebSockets.
package terminal

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/stepup"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// DefaultIdleTime is the default of the time after which a terminal ends in which nothing was typed or shown.
	DefaultIdleTime = 30 * time.Minute
	// DefaultMaxTime is the default of the time after which every terminal ends.
	DefaultMaxTime = 8 * time.Hour

	podResource = "pods"
	// maxCommand bounds the words of a command, and maxCommandBytes its length.
	maxCommand      = 64
	maxCommandBytes = 8 << 10
	// terminalBytes is the memory of a terminal: the windows and buffers of the connections to the cluster and the
	// client.
	terminalBytes = 256 << 10
)

// shell runs the best shell that a container has.
func shell() []string {
	return []string{"sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"}
}

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
	// IdleTime and MaxTime bound the time of a terminal.
	IdleTime, MaxTime time.Duration
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	const ofPod = "/clusters/{cluster}/namespaces/{namespace}/pods/{name}"
	route := func(verb, doc string) routes.Route {
		docs := objectref.Docs()
		return routes.Route{
			Method: http.MethodGet, Path: ofPod + "/" + verb, Operation: verb + "Pod", Verb: verb, Doc: doc,
			Returns: dashboardv1alpha1.Envelope{},
			Parameters: map[string]string{
				objectref.Namespace: docs[objectref.Namespace], objectref.Name: "the name of the Pod",
				"container": "the name of a container; it may be omitted for a Pod with one",
				"stdin":     "send input; true by default",
				"tty":       "open a terminal; true by default",
				"binary": "send and receive binary messages, whose first byte is 0 for input, 1 for output and 2 " +
					"for errors",
			},
			Types: map[string]routes.Type{
				"stdin": routes.Boolean(), "tty": routes.Boolean(), "binary": routes.Boolean(),
			},
			Endpoint: routes.Reviewed(p.review(verb), p.open),
		}
	}
	run := route(streams.VerbExec, "run a command in a container of a Pod, through a WebSocket")
	run.Parameters["command"] = "a word of the command; it may be repeated. The default is a shell"
	attach := route(streams.VerbAttach, "attach to the main process of a container of a Pod, through a WebSocket")
	return []routes.Route{run, attach}
}

// request is a terminal that a caller may open.
type request struct {
	caller  *clusters.Client
	user    user.Info
	cluster string
	call    clusters.Call

	stdin, tty, binary bool
	// proof is the proof of a fresh code that came with the request.
	proof func() error
}

// attributes are those of a review of the right to a terminal. Whatever the method of the request to the cluster, it
// takes the right to create the subresource.
func (t *request) attributes() authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Namespace: t.call.Namespace, Verb: "create", Version: "v1", Resource: podResource,
		Subresource: t.call.Subresource, Name: t.call.Name,
	}
}

// review returns a review of the right to a terminal.
func (p *Provider) review(verb string) func(r *routes.Request, u user.Info) (*request, error) {
	return func(r *routes.Request, u user.Info) (*request, error) {
		caller, err := p.Access.Cluster(r, u)
		if err != nil {
			return nil, err
		}
		target, err := objectref.Find(
			r.Context(), caller, "get", podResource, r.Path(objectref.Namespace), r.Path(objectref.Name),
		)
		if err != nil {
			return nil, err
		}
		t := &request{
			caller: caller, user: u, cluster: r.Path(authorization.ClusterParameter),
			call: target.Call(http.MethodPost),
		}
		t.call.Subresource = verb
		if err := t.parse(r.URL.Query()); err != nil {
			return nil, err
		}
		if err := authorization.Require(r.Context(), caller, t.attributes()); err != nil {
			return nil, err
		}
		inbound := r.Context()
		t.proof = func() error { return stepup.Require(inbound) }
		return t, caller.Prove(r.Context(), t.call)
	}
}

func (t *request) parse(query url.Values) error {
	t.stdin, t.tty = true, true
	for name, into := range map[string]*bool{"stdin": &t.stdin, "tty": &t.tty, "binary": &t.binary} {
		value, err := routes.ParseBool(query, name, *into)
		if err != nil {
			return err
		}
		*into = value
	}
	t.call.Query = url.Values{
		"stdin": {strconv.FormatBool(t.stdin)}, "stdout": {"true"},
		"stderr": {strconv.FormatBool(!t.tty)}, "tty": {strconv.FormatBool(t.tty)},
	}
	if container := query.Get("container"); container != "" {
		if err := routes.CheckLabel("container", container); err != nil {
			return err
		}
		t.call.Query.Set("container", container)
	}
	if t.call.Subresource != streams.VerbExec {
		return nil
	}
	command := query["command"]
	if len(command) == 0 {
		command = shell()
	}
	if len(command) > maxCommand || len(strings.Join(command, " ")) > maxCommandBytes || command[0] == "" {
		return envelope.Invalid("command", "the command is empty, or too long")
	}
	t.call.Query["command"] = slices.Clone(command)
	return nil
}

// check asks again whether the caller may have the terminal.
func (p *Provider) check(ctx context.Context, t *request) error {
	caller, err := p.Access.ClusterByName(ctx, t.user, t.cluster)
	if err != nil {
		return err
	}
	return authorization.Require(ctx, caller, t.attributes())
}

func (p *Provider) open(_ *routes.Request, t *request) (routes.Result, error) {
	return routes.Result{Stream: newSession(t, p).handler()}, nil
}
