// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package portforward forwards ports of Pods to clients through WebSockets with the subprotocol v4.channel.k8s.io of
// Kubernetes.
package portforward

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/podaccess"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// Subprotocol is a WebSocket subprotocol of Kubernetes. The first byte of a message is the number of a channel, and
	// each port has a channel for data and one for errors.
	Subprotocol = "v4.channel.k8s.io"

	subresource = "portforward"
	maxPorts    = 16
	// idleTime is the time after which a stream ends if no data is sent in either direction.
	idleTime = time.Hour
	// forwardBytes is the number of bytes of memory that each port reserves for the buffers of the connections to the
	// cluster and the client.
	forwardBytes = 256 << 10
)

// Provider provides the endpoint of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	docs := podaccess.Docs()
	docs["ports"] = "the ports, separated by commas"
	return []routes.Route{{
		Method: http.MethodGet, Path: podaccess.Path + "/" + subresource,
		Operation: "forwardPorts", Verb: streams.VerbPortForward,
		Doc:        "connect to ports of a Pod, through a WebSocket with the subprotocol " + Subprotocol,
		Returns:    dashboardv1alpha1.Envelope{},
		Parameters: docs,
		Endpoint:   routes.Reviewed(p.review, p.open),
	}}
}

// request contains the validated parameters of a stream.
type request struct {
	*podaccess.Access

	ports []uint16
}

func (p *Provider) review(r *routes.Request, u user.Info) (*request, error) {
	access, err := podaccess.Find(r, u, p.Access, subresource)
	if err != nil {
		return nil, err
	}
	q := &request{Access: access}
	if q.ports, err = parsePorts(r.Query("ports")); err != nil {
		return nil, err
	}
	return q, access.Review(r.Context())
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
		Check:    q.Check,
		Depends:  []streams.Cluster{q.Caller.Connection()},
		Received: f.received, Serve: f.serve,
	}}, nil
}
