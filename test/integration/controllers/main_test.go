// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers contains integration tests of the programs of KubeVision. The programs run against a real
// Kubernetes control plane.
package controllers

import (
	"os"
	"testing"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubevision-io/kubevision/test/environment"
)

var env *environment.Environment

func TestMain(m *testing.M) {
	ctrl.SetLogger(klog.Background())
	os.Exit(environment.Main(m, environment.Options{
		DetectRaces: []string{environment.ControllerManager},
	}, func(e *environment.Environment) { env = e }))
}
