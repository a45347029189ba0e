// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package watch streams the changes of objects in the read cache to clients. A topic is a subscription to one resource
// of one cluster. One connection can have many topics. A client first gets the existing objects of a topic, and then
// their changes and bookmarks as JSON messages. All topics for the same resource of a cluster read the same feed, which
// is a log of its changes.
package watch

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authorization/verdicts"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters and to the read cache.
	Access *scopedlist.Access
	// Verdicts caches the results of access reviews, and determines how long each result is valid.
	Verdicts *verdicts.Cache
	// Recent contains the lists that sessions have requested.
	Recent *Recent
	// Tokens authenticates the access tokens that clients send on open streams.
	Tokens *authentication.Tokens

	feeds feeds
}

// NewProvider returns a provider. Run must be running while clients are connected.
func NewProvider(
	access *scopedlist.Access, v *verdicts.Cache, recent *Recent, tokens *authentication.Tokens,
) *Provider {
	return &Provider{Access: access, Verdicts: v, Recent: recent, Tokens: tokens, feeds: feeds{cache: access.Cache}}
}

// Run closes unused feeds and repeats access reviews until ctx ends.
func (p *Provider) Run(ctx context.Context) {
	p.feeds.run(ctx, p.Access.Connections.Host(), p.Verdicts.Watched)
}

// ClusterChanged makes the topics of a cluster repeat their access reviews. It must be called after each change of an
// RBAC object on the cluster of c.
func (p *Provider) ClusterChanged(c *clusters.Connection) {
	p.feeds.changed(c, c == p.Access.Connections.Host())
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	ticket := map[string]string{dashboardv1alpha1.TicketParameter: "a ticket, if no header contains a token"}
	queries := maps.Clone(ticket)
	maps.Copy(queries, map[string]string{
		queryTopics: "comma-separated topics: cluster:resource or cluster:resource:namespace, optionally followed by " +
			"@ and a bookmark to resume from",
		querySummary: "true to send metadata instead of objects",
		queryInitial: "true to send the existing objects before the changes",
	})
	return []routes.Route{
		{
			Method: http.MethodGet, Path: dashboardv1alpha1.WatchPath, Operation: "watch", Verb: streams.VerbWatch,
			Doc: "open a WebSocket with the changes of objects", Returns: dashboardv1alpha1.Envelope{},
			Parameters: ticket,
			Endpoint:   routes.Self(p.socket),
		},
		{
			// kube-apiserver treats a request with the prefix /watch/ as a watch, like the deprecated path
			// /api/v1/watch/pods. Watches have no time limit.
			Method: http.MethodGet, Path: "/watch/events", Operation: "watchEvents", Verb: streams.VerbWatch,
			Events: true,
			Doc:    "get the changes of objects as server-sent events", Returns: dashboardv1alpha1.Envelope{},
			Parameters: queries,
			Types:      map[string]routes.Type{querySummary: routes.Boolean(), queryInitial: routes.Boolean()},
			Endpoint:   routes.Self(p.events),
		},
	}
}

const (
	queryTopics  = "topics"
	querySummary = "summary"
	queryInitial = "initial"
)

func (p *Provider) socket(_ *routes.Request, u user.Info) (routes.Result, error) {
	c, h := p.handler(u)
	h.ReadLimit, h.Received = maxAction, c.received
	return routes.Result{Stream: h}, nil
}

func (p *Provider) events(r *routes.Request, u user.Info) (routes.Result, error) {
	a, query := action{}, r.URL.Query()
	for name, into := range map[string]*bool{querySummary: &a.Summary, queryInitial: &a.Initial} {
		value, err := routes.ParseBool(query, name, false)
		if err != nil {
			return routes.Result{}, err
		}
		*into = value
	}
	for _, value := range query[queryTopics] {
		for text := range strings.SplitSeq(value, ",") {
			if _, err := parseTopic(text); err != nil {
				return routes.Result{}, err
			}
			a.Topics = append(a.Topics, text)
		}
	}
	if len(a.Topics) > maxTopics {
		return routes.Result{}, tooManyTopics()
	}
	c, h := p.handler(u)
	h.Serve = func(ctx context.Context, _ *streams.Stream) error {
		if len(a.Topics) > 0 {
			if err := c.subscribe(ctx, a); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return routes.Result{Stream: h}, nil
}

// handler returns a client without topics, and the handler of its stream.
func (p *Provider) handler(u user.Info) (*client, *streams.Handler) {
	c := &client{provider: p, session: sessionOf(u), topics: map[topicName]*topic{}}
	h := &streams.Handler{
		Began: func(s *streams.Stream) {
			c.stream = s
			for _, name := range p.Recent.register(c) {
				s.Go(func() { c.addImplicit(name) })
			}
		},
		Ended: func(streams.End) {
			p.Recent.unregister(c)
			c.close()
		},
	}
	return c, h
}

// epoch returns a hash of the resource r and of the registered cluster. Bookmarks contain this hash. Therefore, a
// bookmark is not valid for another cluster that is later registered with the same name.
func (p *Provider) epoch(ctx context.Context, cluster string, r clusters.Resource) (string, error) {
	found := &kubevisionv1alpha1.KubeVisionCluster{}
	if err := p.Access.Reader.Get(ctx, types.NamespacedName{Name: cluster}, found); err != nil {
		return "", fmt.Errorf("reading cluster %s: %w", cluster, err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", found.UID, found.Status.ClusterID, r.String()))
	const length = 12
	return base64.RawURLEncoding.EncodeToString(sum[:length]), nil
}
