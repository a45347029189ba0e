// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver assembles kubevision-apiserver. This is an aggregated API server that is based on k8s.io/apiserver
// and does not use etcd. It serves the routes of the dashboard in the group dashboard.kubevision.io. The package also
// generates the OpenAPI document of the routes, determines the IP addresses of clients, and ends streams and
// connections when the server stops.
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

// NewCodecs returns a scheme and codecs for the types of discovery documents. Other types are not needed, because the
// server stores no objects.
func NewCodecs() (*runtime.Scheme, serializer.CodecFactory) {
	scheme := runtime.NewScheme()
	unversioned := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, unversioned)
	scheme.AddUnversionedTypes(unversioned, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{},
		&metav1.APIGroup{}, &metav1.APIResourceList{})
	return scheme, serializer.NewCodecFactory(scheme)
}

// ExtraConfig configures the API of the dashboard, in addition to the configuration of k8s.io/apiserver.
type ExtraConfig struct {
	// AccessTokenTTL is the lifetime of an access token.
	AccessTokenTTL time.Duration
	// PasswordHashes is the maximum number of passwords that are hashed concurrently. The hashing of each password
	// needs 19 MiB.
	PasswordHashes int
	// PasswordProcess is the process that hashes passwords. If it is nil, the server hashes them in its own process.
	PasswordProcess *password.Process
	// BodyBytesInFlight bounds the memory of request bodies, in bytes.
	BodyBytesInFlight int64
	// ResponseBytesInFlight bounds the memory of the responses of clusters, in bytes.
	ResponseBytesInFlight int64
	// ReadCacheBytes bounds the memory of the read cache, in bytes. Zero disables the cache.
	ReadCacheBytes int64
	// ConnectionBytes bounds the memory of client connections, in bytes.
	ConnectionBytes int64
	// RequestsPerUser bounds the number of concurrent requests of one user.
	RequestsPerUser int
	// LoginFailuresPerAddress is the number of failed logins from one address after which further logins are delayed.
	LoginFailuresPerAddress int
	// LoginFailureCounters bounds the number of KubeVisionLoginThrottles for names that no user has. The same limit
	// applies separately to KubeVisionLoginThrottles for addresses.
	LoginFailureCounters int
	// TrustedLoginNetworks lists the networks whose logins wait in a separate queue.
	TrustedLoginNetworks []netip.Prefix
	// SessionLimits bounds the number of KubeVisionSessions.
	SessionLimits sessionindex.Limits
	// TrustedProxies lists the networks of proxies that may set X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// TwoFactorRoles lists the roles whose users must have a second factor.
	TwoFactorRoles []string
	// LoginCodeTTL is the time after a login with a one-time code during which sensitive operations need no further
	// code. If it is zero, the code of the login does not count for sensitive operations.
	LoginCodeTTL time.Duration
	// RefusedDryRunsAsData makes the response to a rejected dry run a success with the code 0. The data of the response
	// contain the reasons for the rejection. This applies only to same-origin requests of browsers (see the header
	// Sec-Fetch-Site).
	RefusedDryRunsAsData bool
	// ClusterAddresses restricts the IP addresses of member clusters.
	ClusterAddresses addresspolicy.Policy
	// DashboardDir is a directory with the files of a dashboard, which the server serves together with the API. If it
	// is empty, no files are served.
	DashboardDir string
	// Tracer creates the spans of requests. The spans of k8s.io/apiserver are not used, because they contain the query.
	Tracer tracing.TracerProvider
	// TracedClusters lists the clusters to which requests carry a traceparent header. "*" means all clusters.
	TracedClusters []string
	// Streams limits the number and memory of streams, and the web origins that may open them.
	Streams streams.Options
	// WatchTokenInQuery is true if the watch endpoint accepts an access token in the query.
	WatchTokenInQuery bool
	// Terminals configures terminals and file copies.
	Terminals Terminals
}

// Config is the configuration of the server.
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

// CompletedConfig is the result of Config.Complete.
type CompletedConfig struct {
	*completedConfig
}

// Complete creates the services and routes of the server. It installs KubeVision's authenticator, authorizer and
// filters in the configuration of k8s.io/apiserver.
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
	// Nothing in this program uses the loopback client. Its token is removed, because it would allow any request.
	generic.LoopbackClientConfig.BearerToken = ""
	setOpenAPI(&generic.Config, scheme, table)
	generic.AddReadyzChecks(state.readyzChecks()...)
	registerMetrics()
	return CompletedConfig{&completedConfig{
		generic: generic.Complete(), state: state, table: table, codecs: codecs, tracer: c.ExtraConfig.Tracer,
	}}, nil
}

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

// Server is kubevision-apiserver.
type Server struct {
	GenericAPIServer *genericapiserver.GenericAPIServer
	state            *state
	table            *routes.Table
	tracer           tracing.TracerProvider
}

// New returns a Server. Run starts it.
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

// Routes returns all routes of the API.
func (s *Server) Routes() []routes.Route { return s.table.Routes() }

// Run serves requests until ctx ends and all requests have ended. It starts the caches before the first request, and
// stops them after the last one. It does not use hooks of k8s.io/apiserver for the caches. Hooks would stop the caches
// at the stop signal, but requests still arrive after this signal.
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

// endStreams starts a goroutine that ends all streams after ctx has ended and the shutdown delay is over. By then, load
// balancers send clients to other replicas. The returned channel is closed when the streams have ended.
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

// flushTraces sends the buffered spans, and shuts down the tracer.
func (s *Server) flushTraces(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := s.tracer.Shutdown(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Failed to send the last spans")
	}
}
