// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/environment"
)

const maxTakeover = 5 * time.Second

func electionFlags(t *testing.T) []string {
	t.Helper()
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "controller-manager", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.Spec.Replicas == nil || *d.Spec.Replicas != 2 {
		t.Error("the Deployment does not have two replicas")
	}
	var flags []string
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		if strings.HasPrefix(arg, "--leader-elect-") {
			flags = append(flags, arg)
		}
	}
	return flags
}

func leader(ctx context.Context) (string, error) {
	held := environment.LeaderLease()
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(held), held); err != nil {
		return "", fmt.Errorf("reading the lease: %w", err)
	}
	if held.Spec.HolderIdentity == nil || *held.Spec.HolderIdentity == "" {
		return "", errors.New("nobody holds the lease")
	}
	return *held.Spec.HolderIdentity, nil
}

// TestTakeover verifies that the second replica becomes active soon after the active replica is killed.
func TestTakeover(t *testing.T) {
	flags := electionFlags(t)
	first := env.KubeVision.ControllerManager()
	if err := first.RestartWith(t.Context(), flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		if err := first.RestartWith(ctx); err != nil {
			t.Error(err)
		}
	})
	awaitLeader(t)
	before, err := leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := env.KubeVision.StartControllerManager(t.Context(), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(time.Second) // the second replica must observe the lease
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	eventually(t, lease, "have another leader", func(ctx context.Context) error {
		now, err := leader(ctx)
		if err == nil && now == before {
			err = errors.New("the lease is still that of the one that was killed")
		}
		return err
	})
	if took := time.Since(killed); took > maxTakeover {
		t.Errorf("the other replica took over after %s, want %s at most", took, maxTakeover)
	}
	awaitLeader(t)
}
