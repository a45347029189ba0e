// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/e2e/node"
	"github.com/kubevision-io/kubevision/test/e2e/sandbox"
)

var (
	enabled = flag.Bool("e2e", false, "start whole clusters, which takes minutes, and root on Linux")
	skipped = flag.Bool("no-build", false, "use the releases that an earlier run has built")
	idle    = flag.Duration("terminal-idle", 5*time.Second, "the time for which terminals are left alone")
)

var world struct {
	build

	host, member *cluster
	node         *node.Node
}

func TestMain(m *testing.M) {
	flag.Parse()
	ctrllog.SetLogger(klog.Background())
	if !*enabled {
		fmt.Fprintln(os.Stderr, `skipped: "make e2e" runs these tests`)
		return
	}
	if sandbox.Inside() {
		os.Exit(inSandbox(m))
	}
	os.Exit(buildAndRun())
}

func buildAndRun() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	begun := time.Now()
	b, err := newBuild(ctx)
	if err == nil && !*skipped {
		err = b.make(ctx)
	}
	if err != nil {
		return failed(err)
	}
	fmt.Fprintf(os.Stderr, "built in %s\n", time.Since(begun).Round(time.Second))
	if err := os.RemoveAll(b.logs()); err != nil {
		return failed(err)
	}
	code, err := sandbox.Run(ctx)
	if err != nil {
		return failed(err)
	}
	fmt.Fprintf(os.Stderr, "ended after %s; logs are in %s\n", time.Since(begun).Round(time.Second), b.logs())
	return code
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "error:", err)
	return 1
}

func inSandbox(m *testing.M) int {
	ctx := context.Background()
	b, err := newBuild(ctx)
	if err != nil {
		return failed(err)
	}
	world.build = b
	if err := sandbox.Enter(ctx, node.Shell(b.nodeDir)); err != nil {
		return failed(err)
	}
	if err := os.MkdirAll(keptLogs, 0o750); err != nil {
		return failed(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer world.saveLogs()
	go followLogs(ctx)
	if err := startClusters(ctx); err != nil {
		return failed(err)
	}
	return m.Run()
}

func startClusters(ctx context.Context) error {
	var err error
	if world.host, err = startCluster(ctx, "host", world.controlPlaneDir); err != nil {
		return err
	}
	if world.member, err = startCluster(ctx, "member", world.controlPlaneDir); err != nil {
		return err
	}
	if world.node, err = node.Start(ctx, world.host.Cluster, world.nodeDir); err != nil {
		return err
	}
	for _, version := range []string{oldVersion, newVersion} {
		if err := world.node.Import(ctx, world.image(version)); err != nil {
			return err
		}
	}
	return nil
}

func startCluster(ctx context.Context, name, assets string) (*cluster, error) {
	started, err := localcluster.Start(ctx, localcluster.Options{
		Assets: assets, Dir: filepath.Join(sandbox.Dir, name), Address: sandbox.Address, Log: os.Stderr,
	})
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", name, err)
	}
	return newCluster(started)
}
