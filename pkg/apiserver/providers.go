// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/registry/action"
	"github.com/kubevision-io/kubevision/pkg/registry/apiresources"
	"github.com/kubevision-io/kubevision/pkg/registry/auth"
	"github.com/kubevision-io/kubevision/pkg/registry/clusterregistration"
	"github.com/kubevision-io/kubevision/pkg/registry/compare"
	"github.com/kubevision-io/kubevision/pkg/registry/containerlogs"
	"github.com/kubevision-io/kubevision/pkg/registry/favorite"
	"github.com/kubevision-io/kubevision/pkg/registry/filecopy"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/registry/httpproxy"
	"github.com/kubevision-io/kubevision/pkg/registry/image"
	"github.com/kubevision-io/kubevision/pkg/registry/overview"
	"github.com/kubevision-io/kubevision/pkg/registry/portforward"
	"github.com/kubevision-io/kubevision/pkg/registry/quota"
	"github.com/kubevision-io/kubevision/pkg/registry/resource"
	"github.com/kubevision-io/kubevision/pkg/registry/rolebindings"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/registry/search"
	"github.com/kubevision-io/kubevision/pkg/registry/sessions"
	"github.com/kubevision-io/kubevision/pkg/registry/template"
	"github.com/kubevision-io/kubevision/pkg/registry/terminal"
	"github.com/kubevision-io/kubevision/pkg/registry/terminalsessions"
	"github.com/kubevision-io/kubevision/pkg/registry/ticket"
	"github.com/kubevision-io/kubevision/pkg/registry/topology"
	"github.com/kubevision-io/kubevision/pkg/registry/unsupported"
	"github.com/kubevision-io/kubevision/pkg/registry/useraccess"
	"github.com/kubevision-io/kubevision/pkg/registry/users"
	"github.com/kubevision-io/kubevision/pkg/registry/watch"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// publicMemory bounds the memory of requests to endpoints that need no authentication, in bytes.
const publicMemory = 64 << 20

// services contains the objects that several providers use.
type services struct {
	logins *authentication.Logins
	tokens *authentication.Tokens
	audit  *audit.Log
	// host reads and writes objects of the host cluster as the user.
	host *hostobjects.Host
	// access provides clients that impersonate the user on clusters.
	access *authorization.Access
	// scopedLists reads lists of objects from clusters, restricted to the namespaces that the user may read.
	scopedLists *scopedlist.Access
	watch       *watch.Provider
}

// providers returns all providers of endpoints.
func (c *ExtraConfig) providers(s *state, v *services, clients *clientFinder) []routes.Provider {
	return []routes.Provider{
		&auth.Provider{
			Logins: v.logins, Passwords: v.logins.Passwords, Sessions: v.logins.Sessions,
			SecondFactors: v.logins.SecondFactors,
			Reader:        s.cache, Client: clients.find,
		},
		&users.Provider{Reader: s.cache, Live: s.client, Host: v.host, Hash: v.logins.Passwords.Hash, Audit: v.audit,
			Client: clients.find},
		&clusterregistration.Provider{Reader: s.cache, Host: v.host, Examine: s.connections.Examine, Policy: s.policy},
		&rolebindings.Provider{Host: v.host},
		&sessions.Provider{Host: v.host, Audit: v.audit, Client: clients.find},
		&resource.Provider{Access: v.scopedLists, Audit: v.audit, RefusedDryRunsAsData: c.RefusedDryRunsAsData},
		&useraccess.Provider{Reader: s.cache, Access: v.access},
		&action.Provider{Access: v.access},
		&overview.Provider{Access: v.scopedLists},
		&quota.Provider{Access: v.scopedLists},
		&topology.Provider{Access: v.scopedLists},
		&apiresources.Provider{Access: v.scopedLists},
		search.NewProvider(v.scopedLists),
		&compare.Provider{Access: v.access},
		&favorite.Provider{Client: s.client},
		&template.Provider{Reader: s.cache},
		&image.Provider{},
		v.watch,
		&containerlogs.Provider{Access: v.access, Session: sessionCheck(v.tokens)},
		&terminal.Provider{
			Access: v.access, IdleTime: c.Terminals.IdleTime, MaxTime: c.Terminals.MaxTime,
			DebugImage: c.Terminals.DebugImage, Recordings: c.Terminals.Recordings,
		},
		&filecopy.Provider{
			Access: v.access, MaxBytes: c.Terminals.CopyBytes, Recordings: c.Terminals.Recordings,
		},
		&terminalsessions.Provider{Recordings: c.Terminals.Recordings, Reviewer: v.access.Reviewer},
		&portforward.Provider{Access: v.access},
		&httpproxy.Provider{Access: v.access},
		&ticket.Provider{Tickets: newTickets(s, v.tokens)},
		&unsupported.Provider{Access: v.access},
	}
}

// routes returns the table of all routes, and the authenticator of access tokens. It also sets s.streams and s.watches.
func (c *ExtraConfig) routes(
	ctx context.Context, s *state, clients *clientFinder,
) (*routes.Table, *authentication.Tokens, error) {
	kube, err := kubernetes.NewForConfig(s.config)
	if err != nil {
		return nil, nil, fmt.Errorf("creating a client: %w", err)
	}
	hasher, err := password.NewHasher(ctx, c.PasswordHashes, c.PasswordProcess)
	if err != nil {
		return nil, nil, err
	}
	tokens := &authentication.Tokens{
		Service: token.NewService(token.Access, s.keys, c.AccessTokenTTL, clock.RealClock{}),
		Cache:   s.cache, Live: s.client, Gone: authentication.NewDeletedObjects(), Clock: clock.RealClock{},
		Policy: &authentication.TwoFactorPolicy{Reader: s.cache, Roles: c.TwoFactorRoles},
	}
	log, reviewer := &audit.Log{Recorder: s.recorder}, authorization.NewReviewer(kube.AuthorizationV1())
	access := &authorization.Access{Reviewer: reviewer, Connections: s.connections, Wrote: scopedlist.Wrote(s.reads)}
	if s.reads != nil {
		access.Verdicts = s.verdicts
	}
	shared := &services{
		logins: c.logins(s, tokens, hasher, log), tokens: tokens, audit: log,
		host:   &hostobjects.Host{As: authorization.HostAs(s.connections), Reviewer: reviewer},
		access: access, scopedLists: &scopedlist.Access{Access: access, Reader: s.cache, Cache: s.reads,
			Verdicts: s.verdicts},
	}
	recent := watch.NewRecent()
	shared.scopedLists.Listed = recent.Note
	s.watches = watch.NewProvider(shared.scopedLists, s.verdicts, recent, tokens)
	shared.watch = s.watches
	//nolint:contextcheck // the watch of a scope outlives the request
	s.streams = newStreams(c.Streams, s, tokens, newTickets(s, tokens))
	table := &routes.Table{
		Streams: s.streams,
		PerUser: c.RequestsPerUser, Prove: acceptProvedTickets(auth.Prove(shared.logins.SecondFactors, clients.find)),
		Memory: s.memory, PublicMemory: budget.New(publicMemory), Answers: routes.NewAnswerQueue(),
	}
	for _, provider := range c.providers(s, shared, clients) {
		if err := table.Add(provider.Routes()...); err != nil {
			return nil, nil, fmt.Errorf("registering routes: %w", err)
		}
	}
	return table, tokens, nil
}
