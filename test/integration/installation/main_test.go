// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package installation installs, upgrades and removes KubeVision with its manifests. The programs do not run, because
// Pods need nodes.
package installation

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/environment"
)

// patience bounds each command.
const patience = time.Minute

// plane is a control plane with clients of its administrator and of KubeVision's own account.
type plane struct {
	*localcluster.Cluster

	admin, programs client.Client
	kubeconfig      string
}

var (
	host, member *plane
	root, bin    string
)

func TestMain(m *testing.M) {
	flag.Parse()
	ctrllog.SetLogger(klog.Background())
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "skipped: these tests need a control plane, and -short was given")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "kubevision-installation-")
	if err != nil {
		return failed(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if root, err = localcluster.ModuleRoot(); err != nil {
		return failed(err)
	}
	if bin, err = environment.Programs(ctx, filepath.Join(dir, "bin")); err != nil {
		return failed(err)
	}
	if host, err = start(ctx, filepath.Join(dir, "host")); err != nil {
		return failed(err)
	}
	defer func() { _ = host.Stop() }()
	if member, err = start(ctx, filepath.Join(dir, "member")); err != nil {
		return failed(err)
	}
	defer func() { _ = member.Stop() }()
	return m.Run()
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "error:", err)
	return 1
}

func start(ctx context.Context, dir string) (*plane, error) {
	c, err := localcluster.Start(ctx, localcluster.Options{Dir: dir, Log: os.Stderr})
	if err != nil {
		return nil, fmt.Errorf("starting a control plane: %w", err)
	}
	p := &plane{Cluster: c, kubeconfig: filepath.Join(dir, "kubeconfig")}
	scheme := runtime.NewScheme()
	err = errors.Join(clientgoscheme.AddToScheme(scheme), kubevisionv1alpha1.AddToScheme(scheme),
		localcluster.WriteKubeconfig(c.Config(), p.kubeconfig))
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	var admin, programs error
	p.admin, admin = client.New(c.Config(), client.Options{Scheme: scheme})
	p.programs, programs = client.New(localcluster.KubeVisionConfig(c.Config()), client.Options{Scheme: scheme})
	if err := errors.Join(admin, programs); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return p, nil
}

type outcome struct {
	output string
	err    error
	took   time.Duration
}

func (p *plane) kubectl(ctx context.Context, args ...string) outcome {
	return p.run(ctx, p.KubectlPath(), append(args, "--kubeconfig="+p.kubeconfig)...)
}

func (p *plane) run(ctx context.Context, program string, args ...string) outcome {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = root
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	return outcome{output: strings.TrimSpace(string(out)), err: err, took: time.Since(begun)}
}

// must runs kubectl until it succeeds. Directly after a change of CustomResourceDefinitions, kube-apiserver may reject
// requests.
func (p *plane) must(t *testing.T, args ...string) string {
	t.Helper()
	var got outcome
	if err := localcluster.Poll(t.Context(), patience, "run kubectl "+strings.Join(args, " "),
		func(ctx context.Context) error {
			if got = p.kubectl(ctx, args...); got.err != nil {
				return fmt.Errorf("%w: %s", got.err, got.output)
			}
			return nil
		}); err != nil {
		t.Fatal(err)
	}
	return got.output
}
