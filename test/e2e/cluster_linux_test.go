// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// patience bounds each command and each wait.
const patience = 2 * time.Minute

type cluster struct {
	*localcluster.Cluster
	fixture.Set

	kubeconfig string
}

func newCluster(started *localcluster.Cluster) (*cluster, error) {
	c := &cluster{Cluster: started, kubeconfig: filepath.Join(started.Dir(), "admin.kubeconfig")}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), kubevisionv1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("create a scheme: %w", err)
	}
	var err error
	if c.Client, err = client.New(started.Config(), client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	programs := localcluster.KubeVisionConfig(started.Config())
	if c.Programs, err = client.New(programs, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	return c, nil
}

func (c *cluster) kubectl(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args = append([]string{"--kubeconfig=" + c.kubeconfig}, args...) // before the command of "kubectl exec"
	cmd := exec.CommandContext(ctx, c.KubectlPath(), args...)
	cmd.Dir = world.root
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, text)
	}
	return text, nil
}

// must runs kubectl until it succeeds. Directly after a change of CustomResourceDefinitions, kube-apiserver may reject
// requests.
func (c *cluster) must(tb testing.TB, args ...string) string {
	tb.Helper()
	var out string
	eventually(tb, "run kubectl", func(ctx context.Context) error {
		var err error
		out, err = c.kubectl(ctx, args...)
		return err
	})
	return out
}

func eventually(tb testing.TB, what string, check func(context.Context) error) {
	tb.Helper()
	if err := localcluster.Poll(tb.Context(), patience, what, check); err != nil {
		tb.Fatal(err)
	}
}
