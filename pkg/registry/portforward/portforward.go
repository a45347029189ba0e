// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package portforward connects clients to ports of Pods through WebSockets, with a subprotocol of Kubernetes.
package portforward

import (
	"context"
	"net/http"
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
	// Subprotocol is the subprotocol of Kubernetes with two channels for each port: the first byte of a message is the
	// number of the channel.
	Subprotocol = "v4.channel.k8s.io"

	podResource = "pods"
	subresource = "portforward"
	maxPorts    = 16
	// idleTime is how long nothing may be sent in either direction.
	idleTime = time.Hour
	// forwardBytes is the memory of a connection to a cluster, and of the buffers of one port.
	forwardBytes = 256 << 10
)

// Provider provides the endpoint of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	docs := objectref.Docs()
	return []routes.Route{{
		Method: http.MethodGet, Path: "/clusters/{cluster}/namespaces/{namespace}/pods/{name}/portforward",
		Operation: "forwardPorts", Verb: streams.VerbPortForward,
		Doc:     "connect to ports of a Pod, through a WebSocket with the subprotocol " + Subprotocol,
		Returns: dashboardv1alpha1.Envelope{},
		Parameters: map[string]string{
			objectref.Namespace: docs[objectref.Namespace], objectref.Name: "the name of the Pod",
			"ports": "the ports, separated by commas",
		},
		Endpoint: routes.Reviewed(p.review, p.open),
	}}
}

// request is a connection that a caller may make.
type request struct {
	caller  *clusters.Client
	user    user.Info
	cluster string
	call    clusters.Call
	ports   []uint16
	// proof is the proof of a fresh code that came with the request.
	proof func() error
}

// attributes are those of a review of the right to the connection. Whatever the method of the request to the cluster,
// it takes the right to create the subresource.
func (q *request) attributes() authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Namespace: q.call.Namespace, Verb: "create", Version: "v1", Resource: podResource, Subresource: subresource,
		Name: q.call.Name,
	}
}

func (p *Provider) review(r *routes.Request, u user.Info) (*request, error) {
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
	q := &request{
		caller: caller, user: u, cluster: r.Path(authorization.ClusterParameter), call: target.Call(http.MethodPost),
	}
	q.call.Subresource = subresource
	if q.ports, err = parsePorts(r.Query("ports")); err != nil {
		return nil, err
	}
	if err := authorization.Require(r.Context(), caller, q.attributes()); err != nil {
		return nil, err
	}
	inbound := r.Context()
	q.proof = func() error { return stepup.Require(inbound) }
	return q, caller.Prove(r.Context(), q.call)
}

func parsePorts(text string) ([]uint16, error) {
	if text == "" {
		return nil, envelope.Required("ports")
	}
	var out []uint16
	for word := range strings.SplitSeq(text, ",") {
		port, err := strconv.ParseUint(word, 10, 16)
		if err != nil || port == 0 || len(out) == maxPorts {
			return nil, envelope.Invalid("ports",
				"ports must be at most %d numbers between 1 and 65535, separated by commas", maxPorts)
		}
		out = append(out, uint16(port))
	}
	return out, nil
}

func (p *Provider) open(_ *routes.Request, q *request) (routes.Result, error) {
	f := &forward{request: q}
	return routes.Result{Stream: &streams.Handler{
		Subprotocols: []string{Subprotocol}, ReadLimit: maxMessage, IdleTime: idleTime,
		Check: func(ctx context.Context) error {
			caller, err := p.Access.ClusterByName(ctx, q.user, q.cluster)
			if err != nil {
				return err
			}
			return authorization.Require(ctx, caller, q.attributes())
		},
		Depends:  []streams.Cluster{q.caller.Connection()},
		Received: f.received, Serve: f.serve,
	}}, nil
}
