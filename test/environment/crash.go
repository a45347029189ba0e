// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"context"
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// LeaderLease returns the lease of the active replica of kubevision-controller-manager.
func LeaderLease() *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: localcluster.Namespace,
		Name: "kubevision-controller-manager"}}
}

// CrashControllers kills kubevision-controller-manager and starts it again. It deletes the lease of the killed process.
// Otherwise, the new process would wait until the lease expires.
func (e *Environment) CrashControllers(ctx context.Context) error {
	program := e.KubeVision.ControllerManager()
	if err := program.Kill(); err != nil {
		return fmt.Errorf("crashing the controllers: %w", err)
	}
	if err := e.Client.Delete(ctx, LeaderLease()); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("taking the lease away: %w", err)
	}
	return program.Start(ctx)
}
