// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/controllers"
	"github.com/kubevision-io/kubevision/pkg/controllers/cluster"
	"github.com/kubevision-io/kubevision/pkg/controllers/rolebinding"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/removal"
)

// removalName is the name of the Namespace in which the Job for the removal of KubeVision runs. The ClusterRoleBinding
// that gives the Job its rights has the same name.
const removalName = names.RemovalNamespace

type removeOptions struct {
	logs       *logsapi.LoggingConfiguration
	kubeconfig string
	timeout    time.Duration
	abandon    []string
	removeSelf bool
	addresses  addresspolicy.Flags
}

func newRemoveCommand() *cobra.Command {
	o := &removeOptions{logs: logsapi.NewLoggingConfiguration()}
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Remove the installation, and what it has placed on members",
		Long: "Remove the installation, and what it has placed on members. It stops with an error, and leaves the " +
			"installation in place, if a member cannot be reached.",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         logged(o.logs, o.run),
	}
	fs := cmd.Flags()
	logsapi.AddFlags(o.logs, fs)
	fs.StringVar(&o.kubeconfig, "kubeconfig", "",
		"kubeconfig file of an administrator of the host cluster. The default is the cluster in which the program "+
			"runs.")
	fs.DurationVar(&o.timeout, "timeout", 50*time.Second,
		"Time to wait for the deletion of users, clusters and role bindings, and again for that of all other objects.")
	fs.StringSliceVar(&o.abandon, "abandon", nil,
		"Names of clusters to unregister even if KubeVision's objects on them cannot be removed.")
	fs.BoolVar(&o.removeSelf, "remove-self", false,
		"At the end, remove the namespace and the binding "+removalName+" of the Job that runs this command.")
	o.addresses.AddFlags(fs)
	return cmd
}

func (o *removeOptions) run(ctx context.Context) error {
	if o.timeout <= 0 {
		return errors.New("--timeout must be more than 0")
	}
	addresses, err := o.addresses.Policy()
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1 // API priority and fairness of the host limits the calls.
	host, err := client.New(config, client.Options{})
	if err != nil {
		return fmt.Errorf("creating a client for the host: %w", err)
	}
	r := &removal.Remover{
		Client: host, Log: klog.Background(), Abandon: o.abandon, Timeout: o.timeout,
		Controllers: func(ctx context.Context) error { return takeBack(ctx, config, addresses.WithHost(config.Host)) },
	}
	if err := r.Remove(ctx); err != nil {
		return err
	}
	if o.removeSelf {
		return r.RemoveSelf(ctx, removalName, removalName)
	}
	return nil
}

// takeBack runs the controllers that remove KubeVision's objects from clusters. It returns when ctx ends, or with an
// error if the controllers cannot run.
func takeBack(ctx context.Context, config *rest.Config, addresses addresspolicy.Policy) error {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Cache: controllers.CacheOptions(),
		HealthProbeBindAddress: "0", Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return fmt.Errorf("creating the manager: %w", err)
	}
	if err := controllers.SetupRemoval(ctx, mgr, controllers.Options{
		ClusterAddresses: addresses, MemberCacheBytes: clusters.DefaultMemberCacheBytes,
		ConcurrentClusterSyncs: cluster.DefaultConcurrency, ConcurrentRoleBindingSyncs: rolebinding.DefaultConcurrency,
	}); err != nil {
		return err
	}
	return mgr.Start(ctx)
}
