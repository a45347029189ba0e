// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package options contains the flags of kubevision-apiserver, and converts them to its configuration.
package options

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/compatibility"
	basecompatibility "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/kubevision-io/kubevision/pkg/apiserver"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/version"
)

const (
	// defaultPort is the default of --secure-port. Kubelets use the same port. Therefore, firewalls usually allow
	// connections from kube-apiserver to this port.
	defaultPort = 10250

	// maxPasswordHashes bounds the default number of passwords that are hashed concurrently. Four allow about 130
	// logins per second.
	maxPasswordHashes = 4

	// minBytesInFlight is the smallest valid number of bytes in the flags that limit memory, for example in
	// --body-bytes-in-flight. With fewer bytes, a request body of the maximum size could be rejected.
	minBytesInFlight = 16 << 20

	minTokenTTL = time.Minute
	maxTokenTTL = time.Hour
)

// Options contains the flags of kubevision-apiserver.
type Options struct {
	SecureServing  *genericoptions.SecureServingOptionsWithLoopback
	Authentication *genericoptions.DelegatingAuthenticationOptions
	Authorization  *genericoptions.DelegatingAuthorizationOptions
	Audit          *genericoptions.AuditOptions
	Features       *genericoptions.FeatureOptions
	CoreAPI        *genericoptions.CoreAPIOptions
	EgressSelector *genericoptions.EgressSelectorOptions
	Logs           *logsapi.LoggingConfiguration

	// AccessTokenTTL is the lifetime of an access token.
	AccessTokenTTL time.Duration
	// RequestsPerUser bounds the number of concurrent requests of one user.
	RequestsPerUser int
	// BodyBytesInFlight bounds the memory of request bodies, in bytes.
	BodyBytesInFlight int64
	// ResponseBytesInFlight bounds the memory of responses of clusters, in bytes.
	ResponseBytesInFlight int64
	// ReadCacheBytes bounds the memory of the read cache, in bytes. 0 disables the cache.
	ReadCacheBytes int64
	// ConnectionBytes bounds the memory of client connections, in bytes.
	ConnectionBytes int64
	// LoginFailuresPerAddress is the number of failed logins from one address after which further logins are delayed.
	LoginFailuresPerAddress int
	// LoginFailureCounters bounds the number of KubeVisionLoginThrottles for names that no user has. The same limit
	// applies separately to KubeVisionLoginThrottles for addresses.
	LoginFailureCounters int
	// TrustedLoginNetworks lists networks in CIDR notation. Logins from these networks wait in a separate queue.
	TrustedLoginNetworks []string
	// SessionLimits bounds the number of KubeVisionSessions.
	SessionLimits sessionindex.Limits
	// TrustedProxies lists networks in CIDR notation. Proxies in these networks may set X-Forwarded-For.
	TrustedProxies []string
	// TwoFactorRoles lists the roles whose users must have a second factor.
	TwoFactorRoles []string
	// LoginCodeTTL is the time after a login with a one-time code during which sensitive operations need no further
	// code.
	LoginCodeTTL time.Duration
	// RefusedDryRunsAsData sets the code of the response to a rejected dry run to 0, which means success. The data of
	// the response contain the reasons for the rejection. This applies only to same-origin requests of browsers (see
	// the header Sec-Fetch-Site).
	RefusedDryRunsAsData bool
	// ClusterAddresses restricts the IP addresses of member clusters.
	ClusterAddresses addresspolicy.Flags
	// Tracing contains the flags for tracing.
	Tracing TracingOptions
	// DashboardDir is a directory with the files of a dashboard, which the server serves together with the API. If it
	// is empty, no files are served.
	DashboardDir string
	// HashCommand is the command of the process that hashes passwords. If it is empty, the server hashes them in its
	// own process.
	HashCommand []string
	// Streams contains the flags for streams.
	Streams StreamOptions
	// Terminals contains the flags for terminals and file copies.
	Terminals TerminalOptions
	// ShutdownDelay is the time after the stop signal during which the server still accepts requests. In this time,
	// clients change to other replicas.
	ShutdownDelay time.Duration
}

// New returns Options with the default values.
func New() *Options {
	o := &Options{
		SecureServing:  genericoptions.NewSecureServingOptions().WithLoopback(),
		Authentication: genericoptions.NewDelegatingAuthenticationOptions(),
		Authorization:  genericoptions.NewDelegatingAuthorizationOptions(),
		Audit:          genericoptions.NewAuditOptions(),
		Features:       genericoptions.NewFeatureOptions(),
		CoreAPI:        genericoptions.NewCoreAPIOptions(),
		EgressSelector: genericoptions.NewEgressSelectorOptions(),
		Logs:           logsapi.NewLoggingConfiguration(),
		AccessTokenTTL: 15 * time.Minute,

		LoginFailuresPerAddress: 30,
		LoginFailureCounters:    4096,
		RequestsPerUser:         routes.DefaultPerUser,
		BodyBytesInFlight:       32 << 20,
		ResponseBytesInFlight:   192 << 20,
		ReadCacheBytes:          192 << 20,
		ConnectionBytes:         192 << 20,
		Streams:                 newStreamOptions(),
		Terminals:               newTerminalOptions(),
		SessionLimits: sessionindex.Limits{PerUser: sessionindex.DefaultPerUser,
			Total: sessionindex.DefaultTotal},
	}
	o.SecureServing.BindPort = defaultPort
	// Without --tls-cert-file, a certificate is generated. With an empty directory, the certificate and the key stay in
	// memory, so that the key is not written to the working directory.
	o.SecureServing.ServerCert.CertDirectory = ""
	// The number of streams is limited, because each HTTP/2 stream may hold 256 KiB of unread data. If kube-apiserver
	// needs more streams, it opens another connection.
	o.SecureServing.HTTP2MaxStreamsPerConnection = 100
	o.Features.EnableProfiling = false
	// The kube-apiserver of the host applies priority and fairness to the requests that it proxies
	// (config/apiserver/flow_schemas.yaml). This server does not read FlowSchemas. It has its own limits for each user,
	// network and cluster, which consider the cost of requests.
	o.Features.EnablePriorityAndFairness = false
	return o
}

// AddFlags adds all flags to fs.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	o.SecureServing.AddFlags(fs)
	o.Authentication.AddFlags(fs)
	o.Authorization.AddFlags(fs)
	o.Audit.AddFlags(fs)
	o.Features.AddFlags(fs)
	o.CoreAPI.AddFlags(fs)
	o.EgressSelector.AddFlags(fs)
	o.Tracing.AddFlags(fs)
	logsapi.AddFlags(o.Logs, fs)
	fs.DurationVar(&o.AccessTokenTTL, "access-token-ttl", o.AccessTokenTTL, "Lifetime of an access token.")
	fs.IntVar(&o.RequestsPerUser, "requests-per-user", o.RequestsPerUser,
		"Maximum number of requests of a user in flight on this replica. Further requests get code 42900.")
	fs.Int64Var(&o.BodyBytesInFlight, "body-bytes-in-flight", o.BodyBytesInFlight,
		"Maximum number of bytes of request bodies in memory on this replica. Clients that are not logged in may "+
			"use a quarter, and such clients in networks of logged-in users another eighth.")
	fs.Int64Var(&o.ResponseBytesInFlight, "response-bytes-in-flight", o.ResponseBytesInFlight,
		"Maximum number of bytes of responses of clusters in memory on this replica. One user may use at most as "+
			"much as remains free.")
	fs.Int64Var(&o.ReadCacheBytes, "read-cache-bytes", o.ReadCacheBytes,
		"Maximum number of bytes of objects of clusters that this replica caches. "+
			"The RBAC of each cluster authorizes reads from the cache. A kind that does not fit is not cached. "+
			"0 disables the cache.")
	fs.Int64Var(&o.ConnectionBytes, "connection-bytes", o.ConnectionBytes,
		"Maximum number of bytes of client connections on this replica. A connection is charged with 64 KiB, and "+
			"with three times the received bytes of an incomplete request. Beyond the limit, connections of the "+
			"network with the most bytes are closed.")
	fs.IntVar(&o.LoginFailuresPerAddress, "login-failures-per-address", o.LoginFailuresPerAddress,
		"Number of failed logins from an address at which logins are delayed. One failure is forgiven per minute.")
	fs.IntVar(&o.LoginFailureCounters, "login-failure-counters", o.LoginFailureCounters,
		"Maximum number of counters of failed logins for unknown names, and for addresses. "+
			"Beyond the limit, the counters with the fewest failures are deleted.")
	fs.StringSliceVar(&o.TrustedLoginNetworks, "trusted-login-networks", nil,
		"Networks (CIDR) whose logins have a separate queue, so that a flood of logins from other networks "+
			"does not delay them.")
	o.SessionLimits.AddFlags(fs)
	fs.StringSliceVar(&o.TrustedProxies, "trusted-proxies", nil,
		"Networks (CIDR) of trusted proxies. Their X-Forwarded-For header determines the address of the client. "+
			"The default is the address of the connection.")
	fs.StringSliceVar(&o.TwoFactorRoles, "two-factor-roles", nil,
		"Roles whose holders must have a second factor: admin, ops, dev, readonly, or names of ClusterRoles.")
	fs.DurationVar(&o.LoginCodeTTL, "login-code-ttl", o.LoginCodeTTL,
		"Time after a login with a one-time code for which its session needs no fresh codes, at most 5m; "+
			"0 disables it. Use it for dashboards that request a code only at the login.")
	fs.BoolVar(&o.RefusedDryRunsAsData, "refused-dry-runs-as-data", o.RefusedDryRunsAsData,
		"Respond with code 0 and valid=false, instead of 42201, if the cluster rejects a dry run of a page of the "+
			"same origin. Use it for dashboards that show the reasons only for code 0.")
	o.ClusterAddresses.AddFlags(fs)
	fs.StringVar(&o.DashboardDir, "dashboard-dir", o.DashboardDir,
		"Directory with a single-page application and its index.html, which is served without authentication. "+
			"If empty, no pages are served.")
	o.Streams.addFlags(fs)
	o.Terminals.addFlags(fs)
	fs.DurationVar(&o.ShutdownDelay, "shutdown-delay-duration", o.ShutdownDelay,
		"Time after a stop signal for which the server still accepts requests. "+
			"/readyz fails during this time, so that load balancers remove the replica.")
}

// Complete sets --authentication-kubeconfig and --authorization-kubeconfig to the value of --kubeconfig if they are
// empty.
func (o *Options) Complete() {
	o.Authentication.RemoteKubeConfigFile = cmp.Or(o.Authentication.RemoteKubeConfigFile,
		o.CoreAPI.CoreAPIKubeconfigPath)
	o.Authorization.RemoteKubeConfigFile = cmp.Or(o.Authorization.RemoteKubeConfigFile, o.CoreAPI.CoreAPIKubeconfigPath)
}

// Validate returns an error that joins the errors of all flags.
func (o *Options) Validate() error {
	var errs []error
	errs = append(errs, o.SecureServing.Validate()...)
	errs = append(errs, o.Authentication.Validate()...)
	errs = append(errs, o.Authorization.Validate()...)
	errs = append(errs, o.Audit.Validate()...)
	errs = append(errs, o.Features.Validate()...)
	errs = append(errs, o.CoreAPI.Validate()...)
	errs = append(errs, o.EgressSelector.Validate()...)
	if o.AccessTokenTTL < minTokenTTL || o.AccessTokenTTL > maxTokenTTL {
		errs = append(errs, fmt.Errorf("--access-token-ttl must be from %s to %s", minTokenTTL, maxTokenTTL))
	}
	if o.LoginCodeTTL < 0 || o.LoginCodeTTL > credentials.VerifiedTTL {
		errs = append(errs, fmt.Errorf("--login-code-ttl must be from 0 to %s", credentials.VerifiedTTL))
	}
	errs = append(errs, o.validateBounds()...)
	errs = append(errs, o.Streams.validate()...)
	errs = append(errs, o.Terminals.validate()...)
	if o.LoginFailuresPerAddress < 1 {
		errs = append(errs, errors.New("--login-failures-per-address must be at least 1"))
	}
	if o.LoginFailureCounters < 1 {
		errs = append(errs, errors.New("--login-failure-counters must be at least 1"))
	}
	if err := o.SessionLimits.Validate(); err != nil {
		errs = append(errs, err)
	}
	if _, err := addresspolicy.ParseNetworks(o.TrustedLoginNetworks); err != nil {
		errs = append(errs, fmt.Errorf("--trusted-login-networks: %w", err))
	}
	if _, err := addresspolicy.ParseNetworks(o.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("--trusted-proxies: %w", err))
	}
	if _, err := o.ClusterAddresses.Policy(); err != nil {
		errs = append(errs, err)
	}
	if o.ShutdownDelay < 0 {
		errs = append(errs, errors.New("--shutdown-delay-duration must not be negative"))
	}
	if o.Features.EnablePriorityAndFairness {
		errs = append(errs,
			errors.New("--enable-priority-and-fairness is not supported, because this server limits requests by "+
				"number"))
	}
	return utilerrors.NewAggregate(errs)
}

// validateBounds returns the errors of the flags that limit requests and memory.
func (o *Options) validateBounds() []error {
	var errs []error
	if o.RequestsPerUser < 1 {
		errs = append(errs, errors.New("--requests-per-user must be at least 1"))
	}
	if min(o.BodyBytesInFlight, o.ResponseBytesInFlight, o.ConnectionBytes) < minBytesInFlight {
		errs = append(errs, fmt.Errorf(
			"--body-bytes-in-flight, --response-bytes-in-flight and --connection-bytes must be at least %d",
			minBytesInFlight))
	}
	if o.ReadCacheBytes < 0 {
		errs = append(errs, errors.New("--read-cache-bytes must not be negative"))
	}
	return errs
}

// effectiveVersion reports the version of KubeVision at /version, instead of the version of Kubernetes.
type effectiveVersion struct {
	basecompatibility.EffectiveVersion
}

// Info returns the version of KubeVision.
func (effectiveVersion) Info() *apimachineryversion.Info {
	info := version.Info()
	return &info
}

// Config waits until the host cluster is ready, and returns the configuration of the server.
func (o *Options) Config(ctx context.Context) (apiserver.CompletedConfig, error) {
	if err := o.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost", nil,
		[]net.IP{net.IPv4(127, 0, 0, 1)}); err != nil {
		return apiserver.CompletedConfig{}, fmt.Errorf("creating a self-signed certificate: %w", err)
	}
	if err := o.awaitHost(ctx); err != nil {
		return apiserver.CompletedConfig{}, err
	}
	_, codecs := apiserver.NewCodecs()
	generic := genericapiserver.NewRecommendedConfig(codecs)
	generic.EffectiveVersion = effectiveVersion{compatibility.DefaultBuildEffectiveVersion()}
	generic.ShutdownDelayDuration = o.ShutdownDelay
	if err := o.apply(generic); err != nil {
		return apiserver.CompletedConfig{}, err
	}
	proxies, err := addresspolicy.ParseNetworks(o.TrustedProxies)
	if err != nil {
		return apiserver.CompletedConfig{}, err
	}
	trusted, err := addresspolicy.ParseNetworks(o.TrustedLoginNetworks)
	if err != nil {
		return apiserver.CompletedConfig{}, err
	}
	addresses, err := o.ClusterAddresses.Policy()
	if err != nil {
		return apiserver.CompletedConfig{}, err
	}
	tracer, err := o.Tracing.Provider(ctx)
	if err != nil {
		return apiserver.CompletedConfig{}, err
	}
	streams, err := o.Streams.options()
	if err != nil {
		return apiserver.CompletedConfig{}, err
	}
	terminals, err := o.Terminals.config() //nolint:contextcheck // recordings outlive the start of the program
	if err != nil {
		return apiserver.CompletedConfig{}, err
	}
	// Half of the processors hash passwords. During a flood of logins, the other half remains for other requests.
	// maxPasswordHashes bounds the number, because each hash needs memory.
	hashes := min(max(runtime.GOMAXPROCS(0)/2, 1), maxPasswordHashes)
	var process *password.Process
	if len(o.HashCommand) > 0 {
		process = password.NewProcess(hashes, o.HashCommand...)
	}
	c := &apiserver.Config{
		GenericConfig: generic,
		ExtraConfig: apiserver.ExtraConfig{
			AccessTokenTTL: o.AccessTokenTTL, RequestsPerUser: o.RequestsPerUser,
			LoginFailuresPerAddress: o.LoginFailuresPerAddress,
			LoginFailureCounters:    o.LoginFailureCounters, BodyBytesInFlight: o.BodyBytesInFlight,
			ResponseBytesInFlight: o.ResponseBytesInFlight, ReadCacheBytes: o.ReadCacheBytes,
			ConnectionBytes: o.ConnectionBytes,
			LoginCodeTTL:    o.LoginCodeTTL, RefusedDryRunsAsData: o.RefusedDryRunsAsData,
			TrustedLoginNetworks: trusted, SessionLimits: o.SessionLimits,
			TrustedProxies: proxies, TwoFactorRoles: o.TwoFactorRoles, ClusterAddresses: addresses,
			DashboardDir: o.DashboardDir, Tracer: tracer, TracedClusters: o.Tracing.Clusters, Streams: streams,
			WatchTokenInQuery: o.Streams.WatchTokenInQuery, Terminals: terminals,
			PasswordHashes: hashes, PasswordProcess: process,
		},
	}
	return c.Complete(ctx)
}

func (o *Options) apply(generic *genericapiserver.RecommendedConfig) error {
	for _, step := range []struct {
		name  string
		apply func() error
	}{
		{"egress", func() error { return o.EgressSelector.ApplyTo(&generic.Config) }},
		{"serving", func() error { return o.SecureServing.ApplyToConfig(&generic.Config) }},
		{"authentication", func() error {
			return o.Authentication.ApplyTo(&generic.Authentication, generic.SecureServing, nil)
		}},
		{"authorization", func() error { return o.Authorization.ApplyTo(&generic.Authorization) }},
		{"audit", func() error { return o.Audit.ApplyTo(&generic.Config) }},
		{"core API", func() error { return o.CoreAPI.ApplyTo(generic) }},
		{"features", func() error { return o.Features.ApplyTo(&generic.Config, nil, nil) }},
	} {
		if err := step.apply(); err != nil {
			return fmt.Errorf("configuring %s: %w", step.name, err)
		}
	}
	return nil
}
