// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkKubeVision starts stand-ins for KubeVision's programs, and calls them through the aggregation layer.
func checkKubeVision(t *testing.T, cluster *Cluster) {
	vision, err := cluster.StartKubeVision(t.Context(), KubeVisionOptions{
		BinDir:        standIns(t),
		ConfigDir:     filepath.Join("testdata", "config"),
		APIServerArgs: []string{"--greeting=hello"},
	})
	if err != nil {
		t.Fatal(err)
	}
	checkAggregation(t, cluster)
	output, err := cluster.Kubectl(t.Context(), "get", "deployments", "-n", Namespace, "-o", "name")
	if err != nil || output != "" {
		t.Errorf("deployments are %q (%v), want none", output, err)
	}

	replica, err := vision.StartAPIServer(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if replica.Endpoint() == vision.Endpoint() || replica.LogFile() == vision.APIServer().LogFile() {
		t.Errorf("the second replica shares %s or %s with the first", replica.Endpoint(), replica.LogFile())
	}

	if err := vision.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := vision.APIServer().Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := vision.WaitAvailable(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkAggregation(t, cluster)
	if err := vision.ControllerManager().Restart(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := vision.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, program := range []*Program{vision.ControllerManager(), vision.APIServer().Program, replica.Program} {
		if pid := program.PID(); pid != 0 {
			t.Errorf("%s runs as %d after Stop", program.Name(), pid)
		}
	}
	select {
	case err := <-cluster.Exits():
		t.Errorf("a wanted end is reported: %v", err)
	default:
	}
}

func checkAggregation(t *testing.T, cluster *Cluster) {
	t.Helper()
	eventually(t, "aggregated API", func(ctx context.Context) error {
		output, err := cluster.Kubectl(ctx, "get", "--raw", "/apis/dashboard.kubevision.io/v1alpha1")
		if err == nil && !strings.Contains(output, `"name":"hello"`) {
			err = errors.New("answer is " + output)
		}
		return err
	})
}

func TestOverlayNeedsTheInstallation(t *testing.T) {
	t.Parallel()
	err := writeOverlay(filepath.Join(t.TempDir(), "overlay"), t.TempDir(), 1)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "crd") {
		t.Errorf("error is %v, want one that names the missing folder", err)
	}
}
