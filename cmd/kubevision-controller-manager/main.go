// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubevision-controller-manager reconciles KubeVision's custom resources.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/cli"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/controllers"
	"github.com/kubevision-io/kubevision/pkg/controllers/cluster"
	"github.com/kubevision-io/kubevision/pkg/controllers/objectquota"
	"github.com/kubevision-io/kubevision/pkg/controllers/rolebinding"
	"github.com/kubevision-io/kubevision/pkg/hostwait"
	"github.com/kubevision-io/kubevision/pkg/logs"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/version"
)

// minSigningKeyPeriod is the minimum of --signing-key-rotation-period. A key remains valid for at least two hours after
// the next key has begun to sign. With a period of minutes, many keys would be valid at the same time.
const minSigningKeyPeriod = 6 * time.Hour

type options struct {
	logs           *logsapi.LoggingConfiguration
	kubeconfig     string
	probeAddress   string
	metricsAddress string
	election       election
	addresses      addresspolicy.Flags
	controllers    controllers.Options
}

func main() {
	os.Exit(cli.Run(newCommand()))
}

// logged returns a RunE function that applies the logging flags and then calls run.
func logged(
	o *logsapi.LoggingConfiguration, run func(context.Context) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if err := logs.Apply(o); err != nil {
			return err
		}
		ctrl.SetLogger(klog.Background())
		return run(cmd.Context())
	}
}

func newCommand() *cobra.Command {
	o := &options{logs: logsapi.NewLoggingConfiguration()}
	o.controllers.SessionLimits = sessionindex.Limits{PerUser: sessionindex.DefaultPerUser,
		Total: sessionindex.DefaultTotal}
	o.controllers.ObjectLimits = objectquota.DefaultLimits()
	cmd := &cobra.Command{
		Use:          "kubevision-controller-manager",
		Short:        "Reconcile KubeVision's custom resources",
		Version:      version.String(),
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         logged(o.logs, o.run),
	}
	fs := cmd.Flags()
	logsapi.AddFlags(o.logs, fs)
	fs.StringVar(&o.kubeconfig, "kubeconfig", "",
		"kubeconfig file of the host cluster. The default is the cluster in which the program runs.")
	fs.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081",
		"Address of /healthz and /readyz; 0 disables them.")
	fs.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443",
		"Address of /metrics, which is served over TLS to clients that the host authorizes; 0 disables it.")
	o.election.addFlags(fs)
	fs.DurationVar(&o.controllers.SigningKeyPeriod, "signing-key-rotation-period", 30*24*time.Hour,
		"Time after which a new key signs access tokens. Tokens of the previous key stay valid.")
	fs.BoolVar(&o.controllers.AdminKeepsPassword, "bootstrap-admin-keeps-password", false,
		"Let the first user keep the random password instead of requiring a change at the first login.")
	fs.StringVar(&o.controllers.HostCluster, "bootstrap-cluster", "local",
		"Name for the registration of the host cluster, which is created together with the first user. "+
			"If empty, the host is not registered.")
	fs.StringSliceVar(&o.controllers.ServingCertExtraHosts, "serving-cert-extra-names", nil,
		"Additional DNS names and IP addresses in the certificate of kubevision-apiserver.")
	fs.Int64Var(&o.controllers.MemberCacheBytes, "member-cache-bytes", clusters.DefaultMemberCacheBytes,
		"Memory for cached RBAC objects and namespaces of all member clusters, in bytes. "+
			"One member may use at most 144 MiB. Beyond the limit, the newest clusters are disconnected.")
	fs.IntVar(&o.controllers.ConcurrentClusterSyncs, "concurrent-cluster-syncs", cluster.DefaultConcurrency,
		"Number of clusters that are reconciled concurrently. A higher number needs more memory and connections.")
	fs.IntVar(&o.controllers.ConcurrentRoleBindingSyncs, "concurrent-role-binding-syncs",
		rolebinding.DefaultConcurrency,
		"Number of role bindings that are reconciled concurrently.")
	o.controllers.SessionLimits.AddFlags(fs)
	o.controllers.ObjectLimits.AddFlags(fs)
	o.addresses.AddFlags(fs)
	cmd.AddCommand(newRemoveCommand())
	cmd.SetContext(ctrl.SetupSignalHandler())
	return cmd
}

// listen opens the listener of the probes. It returns nil if --health-probe-bind-address disables the probes.
func (o *options) listen(ctx context.Context) (net.Listener, error) {
	if o.probeAddress == "0" || o.probeAddress == "" {
		return nil, nil //nolint:nilnil // no listener means that the probes are disabled
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.probeAddress)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", o.probeAddress, err)
	}
	return listener, nil
}

func (o *options) run(ctx context.Context) error {
	if err := o.validate(); err != nil {
		return err
	}
	return o.start(ctx)
}

// validate returns an error for the first flag that has an invalid value.
func (o *options) validate() error {
	if o.controllers.SigningKeyPeriod < minSigningKeyPeriod {
		return fmt.Errorf("--signing-key-rotation-period must be at least %s", minSigningKeyPeriod)
	}
	if o.controllers.MemberCacheBytes <= 0 {
		return errors.New("--member-cache-bytes must be more than 0")
	}
	if err := o.election.validate(); err != nil {
		return err
	}
	if o.controllers.ConcurrentClusterSyncs <= 0 || o.controllers.ConcurrentRoleBindingSyncs <= 0 {
		return errors.New("--concurrent-cluster-syncs and --concurrent-role-binding-syncs must be more than 0")
	}
	if err := o.controllers.SessionLimits.Validate(); err != nil {
		return err
	}
	return o.controllers.ObjectLimits.Validate()
}

func (o *options) start(ctx context.Context) error {
	addresses, err := o.addresses.Policy()
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	o.controllers.ClusterAddresses = addresses.WithHost(config.Host)
	config.QPS = -1 // API priority and fairness of the host limits the calls.
	if err := hostwait.Await(ctx, config, o.listen, hostwait.Probes(http.NotFoundHandler())); err != nil {
		return err
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Cache:                  controllers.CacheOptions(),
		HealthProbeBindAddress: o.probeAddress,
		Metrics: metricsserver.Options{
			BindAddress: o.metricsAddress, SecureServing: true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
		},
		LeaderElection:                o.election.enabled,
		LeaseDuration:                 &o.election.leaseDuration,
		RenewDeadline:                 &o.election.renewDeadline,
		RetryPeriod:                   &o.election.retryPeriod,
		LeaderElectionID:              "kubevision-controller-manager",
		LeaderElectionNamespace:       names.Namespace,
		LeaderElectionReleaseOnCancel: true, // the program exits as soon as the manager stops
		GracefulShutdownTimeout:       new(20 * time.Second),
	})
	if err != nil {
		return fmt.Errorf("creating the manager: %w", err)
	}
	if err := controllers.Setup(ctx, mgr, o.controllers); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding a health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding a readiness check: %w", err)
	}
	return mgr.Start(ctx)
}
