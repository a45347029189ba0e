// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubevision-apiserver serves the API of the dashboard.
package main

import (
	"os"

	"github.com/spf13/cobra"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubevision-io/kubevision/pkg/apiserver/options"
	"github.com/kubevision-io/kubevision/pkg/gctuner"
	"github.com/kubevision-io/kubevision/pkg/logs"
	"github.com/kubevision-io/kubevision/pkg/version"
)

// heapFloor is the heap size in bytes below which no garbage collection starts.
const heapFloor = 64 << 20

func main() {
	os.Exit(cli.Run(newCommand()))
}

func newCommand() *cobra.Command {
	o := options.New()
	cmd := &cobra.Command{
		Use:   "kubevision-apiserver",
		Short: "Serve the API of the KubeVision dashboard",
		Long: "Serve the API of the KubeVision dashboard, behind kube-apiserver as an aggregated API and " +
			"directly.",
		Version:      version.String(),
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := logs.Apply(o.Logs); err != nil {
				return err
			}
			ctrllog.SetLogger(klog.Background()) // for controller-runtime's caches and clients
			o.Complete()
			o.HashCommand = hashCommand()
			if err := o.Validate(); err != nil {
				return err
			}
			config, err := o.Config(cmd.Context())
			if err != nil {
				return err
			}
			go gctuner.KeepFloor(cmd.Context(), heapFloor)
			server, err := config.New()
			if err != nil {
				return err
			}
			return server.Run(cmd.Context())
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.AddCommand(newHashCommand())
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetContext(genericapiserver.SetupSignalContext())
	return cmd
}
