// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver assembles the aggregated API server of the dashboard: k8s.io/apiserver without etcd, with the
// dashboard's routes in the group dashboard.kubevision.io. It generates the OpenAPI document from the routes of the
// registry packages.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/tracing"
	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/apiserver/connections"
	"github.com/kubevision-io/kubevision/pkg/apiserver/dashboard"
	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authorization/verdicts"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// NewCodecs returns the codecs of the discovery documents. The server stores no objects.
func NewCodecs() (*runtime.Scheme, serializer.CodecFactory) {
	scheme := runtime.NewScheme()
	unversioned := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, unversioned)
	scheme.AddUnversionedTypes(unversioned, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{},
		&metav1.APIGroup{}, &metav1.APIResourceList{})
	return scheme, serializer.NewCodecFactory(scheme)
}

// ExtraConfig is the configuration of the dashboard's API, in addition to the configuration of a generic API server.
type ExtraConfig struct {
	// AccessTokenTTL is the lifetime of an access token.
	AccessTokenTTL time.Duration
	// PasswordHashes is the number of passwords that are hashed at once. Each takes 19 MiB.
	PasswordHashes int
	// PasswordProcess is the process that hashes passwords. If it is nil, the server hashes them.
	PasswordProcess *password.Process
	// BodyBytesInFlight bounds the bytes of request bodies in memory.
	BodyBytesInFlight int64
	// ResponseBytesInFlight bounds the bytes in memory of the responses that clusters send.
	ResponseBytesInFlight int64
	// ReadCacheBytes bounds the memory of the read cache. Zero disables the cache.
	ReadCacheBytes int64
	// ConnectionBytes bounds the memory of client connections.
	ConnectionBytes int64
	// RequestsPerUser bounds the requests in flight of one user.
	RequestsPerUser int
	// LoginFailuresPerAddress is the number of failed logins from one address that cause no delay.
	LoginFailuresPerAddress int
	// LoginFailureCounters bounds the counters of failed logins of unknown names, and separately the counters of
	// addresses.
	LoginFailureCounters int
	// TrustedLoginNetworks are the networks whose logins have a separate queue.
	TrustedLoginNetworks []netip.Prefix
	// SessionLimits bounds the sessions.
	SessionLimits sessionindex.Limits
	// TrustedProxies are the proxies whose X-Forwarded-For header is trusted.
	TrustedProxies []netip.Prefix
	// TwoFactorRoles are the roles whose holders must have a second factor.
	TwoFactorRoles []string
	// LoginCodeTTL is the time for which the one-time code of a login replaces fresh codes in its session; 0 disables
	// it.
	LoginCodeTTL time.Duration
	// RefusedDryRunsAsData makes rejected dry runs return code 0 to pages of the same origin.
	RefusedDryRunsAsData bool
	// ClusterAddresses restricts the addresses of clusters.
	ClusterAddresses addresspolicy.Policy
	// DashboardDir is the directory of a dashboard that is served together with the API, or empty.
	DashboardDir string
	// Tracer creates the spans of requests. It replaces the tracer of the library, whose spans contain the query of a
	// request.
	Tracer tracing.TracerProvider
	// TracedClusters are the clusters to which calls carry the trace context. "*" means all clusters.
	TracedClusters []string
	// Streams bounds streams, and restricts the origins that may open them.
	Streams streams.Options
	// WatchTokenInQuery allows the watch to be opened with an access token in the query.
	WatchTokenInQuery bool
	// Terminals configures terminals and file copies.
	Terminals Terminals
}

// Config configures the server.
type Config struct {
	GenericConfig *genericapiserver.RecommendedConfig
	ExtraConfig   ExtraConfig
}

type completedConfig struct {
	generic genericapiserver.CompletedConfig
	state   *state
	table   *routes.Table
	codecs  serializer.CodecFactory
	tracer  tracing.TracerProvider
}

// CompletedConfig is a Config that Complete has completed.
type CompletedConfig struct {
	*completedConfig
}

// Complete creates the routes, and installs KubeVision's authenticator, authorizer and filters in addition to those of
// the library.
func (c *Config) Complete(ctx context.Context) (completed CompletedConfig, err error) {
	generic := c.GenericConfig
	scheme, codecs := NewCodecs()
	state, err := newState(ctx, generic.ClientConfig, &c.ExtraConfig)
	if err != nil {
		return CompletedConfig{}, err
	}
	state.reads, state.verdicts = readcache.New(c.ExtraConfig.ReadCacheBytes), verdicts.New()
	state.verdicts.OnChange(func(c *clusters.Connection) { //nolint:contextcheck // streams have contexts of their own
		state.streams.ClusterChanged(c)
		state.watches.ClusterChanged(c)
	})
	defer func() {
		if err != nil {
			state.stop()
		}
	}()
	frontProxy, err := newFrontProxy(generic.Authentication.RequestHeaderConfig)
	if err != nil {
		return CompletedConfig{}, err
	}
	clients := newClientFinder(c.ExtraConfig.TrustedProxies, c.ExtraConfig.TrustedLoginNetworks,
		generic.Authentication.RequestHeaderConfig)
	table, tokens, err := c.ExtraConfig.routes(ctx, state, clients)
	if err != nil {
		return CompletedConfig{}, err
	}
	if err := watchSessions(ctx, state.cache, state.streams.UserChanged); err != nil {
		return CompletedConfig{}, err
	}
	generic.LongRunningFunc = longRunning(table)
	if generic.Authentication.Authenticator == nil || generic.Authorization.Authorizer == nil {
		return CompletedConfig{}, errors.New("delegated authentication and authorization must be configured")
	}
	generic.Authentication.Authenticator = &requestAuthenticator{
		tokens: tokens, tickets: newTickets(state, tokens), frontProxy: frontProxy,
		delegated: generic.Authentication.Authenticator, table: table,
	}
	generic.Authorization.Authorizer = requestAuthorizer{generic.Authorization.Authorizer}
	if err := c.installFilters(state, table, clients); err != nil {
		return CompletedConfig{}, err
	}
	// Nothing in this program calls the server over its loopback, so the loopback token must not be valid.
	generic.LoopbackClientConfig.BearerToken = ""
	setOpenAPI(&generic.Config, scheme, table)
	generic.AddReadyzChecks(state.readyzChecks()...)
	registerMetrics()
	return CompletedConfig{&completedConfig{
		generic: generic.Complete(), state: state, table: table, codecs: codecs, tracer: c.ExtraConfig.Tracer,
	}}, nil
}

// installFilters limits the connections, and installs KubeVision's filters in addition to those of the library.
func (c *Config) installFilters(s *state, table *routes.Table, clients *clientFinder) error {
	generic := c.GenericConfig
	origin := func(r *http.Request) filters.Origin {
		from := clients.find(r)
		known := from.Trusted || s.sessions.HasSessionFrom(from.Address)
		return filters.Origin{Network: throttle.ClientNetwork(from.Address).String(), Known: known}
	}
	bodies := filters.NewBodies(c.ExtraConfig.BodyBytesInFlight, origin)
	files := func(next http.Handler) http.Handler { return next }
	if dir := c.ExtraConfig.DashboardDir; dir != "" {
		opened, err := dashboard.Open(dir, origin)
		if err != nil {
			return fmt.Errorf("--dashboard-dir: %w", err)
		}
		files = opened.Wrap
	}
	listener := connections.Limit(generic.SecureServing.Listener, connections.Options{
		Bytes: c.ExtraConfig.ConnectionBytes, Networks: throttle.CountedPrefixes,
		Known: func(a netip.Addr) bool {
			return clients.isProxy(a) || contains(clients.trusted, a) || s.sessions.HasSessionFrom(a)
		},
	})
	generic.SecureServing.Listener = listener
	tokenInQuery := c.ExtraConfig.WatchTokenInQuery
	generic.BuildHandlerChainFunc = func(handler http.Handler, g *genericapiserver.Config) http.Handler {
		refusals, questions := filters.NewRefusals(), clients.delegationLimit()
		inner := files(handlerChains(handler, g, table, bodies, questions))
		leaving := leaving(s.credential, g.ShutdownInitiatedNotify())
		shared := func(r *http.Request) bool { return !leaving() && clients.isKubeAPIServer(r) }
		enveloped := filters.WithEnvelope(inner, shared, refusals)
		if tokenInQuery {
			enveloped = filters.WithTokenInQuery(enveloped)
		}
		traced := filters.WithTracing(closeConnections(enveloped, leaving), c.ExtraConfig.Tracer,
			clients.isKubeAPIServer)
		return listener.Handler(traced, clients.isKubeAPIServer)
	}
	return nil
}

// Server is the dashboard's API server.
type Server struct {
	GenericAPIServer *genericapiserver.GenericAPIServer
	state            *state
	table            *routes.Table
	tracer           tracing.TracerProvider
}

// New returns the server.
func (c CompletedConfig) New() (*Server, error) {
	s, err := c.generic.New("kubevision-apiserver", genericapiserver.NewEmptyDelegate())
	if err != nil {
		c.state.stop()
		return nil, fmt.Errorf("creating the generic API server: %w", err)
	}
	if err := install(s, c.codecs, c.table); err != nil {
		c.state.stop()
		return nil, err
	}
	return &Server{GenericAPIServer: s, state: c.state, table: c.table, tracer: c.tracer}, nil
}

// Routes returns the endpoints of the server.
func (s *Server) Routes() []routes.Route { return s.table.Routes() }

// Run serves until the context ends and all requests are finished. It starts the caches before the first request and
// stops them after the last one. Hooks of the library would stop them at the stop signal, while requests still arrive.
func (s *Server) Run(ctx context.Context) error {
	if err := s.state.start(ctx); err != nil {
		return err
	}
	defer s.state.stop()
	defer s.flushTraces(ctx)
	ended := s.endStreams(ctx)
	err := s.GenericAPIServer.PrepareRun().RunWithContext(ctx)
	<-ended
	return err
}

// endStreams ends the streams after the shutdown delay, when load balancers no longer send clients to this replica. It
// closes the returned channel when the streams have ended.
func (s *Server) endStreams(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		time.Sleep(s.GenericAPIServer.ShutdownDelayDuration)
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), streamPatience)
		defer cancel()
		s.state.streams.Shutdown(bounded)
	}()
	return ended
}

// flushTraces sends the buffered spans.
func (s *Server) flushTraces(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := s.tracer.Shutdown(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Failed to send the last spans")
	}
}
