// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command run starts KubeVision on this machine: a Kubernetes control plane with simulated nodes, the two KubeVision
// programs and the sample objects. "make run" and "make stop" call it. It stores its files in the folder .kubevision at
// the root of the repository.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// settings holds the command line flags.
type settings struct {
	detach     bool
	stop       bool
	fresh      bool
	member     bool
	port       int
	kubePort   int
	memberPort int
	// nodes is the number of simulated nodes.
	nodes int
	// dashboardDir is the path of the dashboard files that kubevision-apiserver serves. If the path is an empty string,
	// no dashboard is served.
	dashboardDir string
}

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, restore)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "error: "+err.Error())
	os.Exit(1)
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	wanted, err := parse(args, errOut)
	if err != nil {
		return err
	}
	root, err := localcluster.ModuleRoot()
	if err != nil {
		return err
	}
	files, err := openState(filepath.Join(root, stateDir))
	if err != nil {
		return err
	}
	switch {
	case wanted.stop:
		return stop(ctx, files, out)
	case wanted.detach:
		return detach(ctx, root, files, wanted, out)
	default:
		return foreground(ctx, root, files, wanted, out)
	}
}

func parse(args []string, errOut io.Writer) (settings, error) {
	var wanted settings
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.BoolVar(&wanted.detach, "detach", false, "run in the background, and return when everything is ready")
	flags.BoolVar(&wanted.stop, "stop", false, "stop the running cluster")
	flags.BoolVar(&wanted.fresh, "fresh", false, "discard the data of earlier runs, and start with the samples")
	flags.BoolVar(&wanted.member, "member", false,
		"also start a second cluster, without KubeVision, for you to register")
	flags.IntVar(&wanted.nodes, "nodes", 2, "number of simulated nodes, on which Pods run; 0 starts no nodes")
	flags.IntVar(&wanted.port, "port", 9443, "port of kubevision-apiserver")
	flags.IntVar(&wanted.kubePort, "kube-port", 16443, "port of kube-apiserver")
	flags.IntVar(&wanted.memberPort, "member-port", 17443, "port of the kube-apiserver of the second cluster")
	flags.StringVar(&wanted.dashboardDir, "dashboard-dir", "",
		"directory of a dashboard to serve together with the API")
	if err := flags.Parse(args); err != nil {
		return settings{}, fmt.Errorf("read the command line: %w", err)
	}
	if flags.NArg() > 0 {
		return settings{}, fmt.Errorf("read the command line: unknown argument %q", flags.Arg(0))
	}
	if wanted.dashboardDir != "" {
		dir, err := filepath.Abs(wanted.dashboardDir)
		if err != nil {
			return settings{}, fmt.Errorf("find the directory of the dashboard: %w", err)
		}
		wanted.dashboardDir = dir
	}
	return wanted, nil
}
