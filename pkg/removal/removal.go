// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package removal uninstalls KubeVision. It first deletes the KubeVisionRoleBindings, KubeVisionClusters and
// KubeVisionUsers. It waits until the controllers have cleaned up every cluster: the controllers delete the objects
// that they created there. The package then deletes all other objects of the installation. A removal that has failed
// can be repeated.
package removal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const pollInterval = 500 * time.Millisecond

// Remover removes the installation on one host cluster.
type Remover struct {
	// Client reads and writes without a cache. It needs the rights of a cluster administrator.
	Client client.Client
	Log    klog.Logger
	// Controllers runs the controllers in this process until its context ends. It is called only if no replica of
	// kubevision-controller-manager is available.
	Controllers func(context.Context) error
	// Abandon lists KubeVisionClusters that are deleted even if KubeVision's objects on them cannot be deleted.
	Abandon []string
	// Timeout bounds each of the two steps. The first step deletes role bindings, clusters and users. The second step
	// deletes all other objects.
	Timeout time.Duration

	// waitingSince maps the UID of a CustomResourceDefinition to the time at which retryCleanup last patched it. Before
	// the first patch, this is the time of the first call of retryCleanup.
	waitingSince map[types.UID]time.Time
}

// Remove removes the installation. If objects remain after Timeout, it returns an error that names the objects. It
// deletes the controllers only after the role bindings, clusters and users, because the controllers revoke the rights
// that KubeVision has granted on member clusters.
func (r *Remover) Remove(ctx context.Context) error {
	if err := r.bounded(ctx, r.removeObjects); err != nil {
		return err
	}
	return r.bounded(ctx, r.removeInstallation)
}

func (r *Remover) bounded(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	return step(ctx)
}

// await polls until no objects remain. listRemaining returns a description of each remaining object. If ctx ends first,
// await returns an error that contains the descriptions.
func await(ctx context.Context, listRemaining func(context.Context) ([]string, error)) error {
	var remaining []string
	var failure error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		found, err := listRemaining(ctx)
		if err != nil {
			if ctx.Err() == nil {
				failure = err
			}
			return false, nil
		}
		remaining, failure = found, nil
		return len(remaining) == 0, nil
	})
	if err == nil {
		return nil
	}
	errs := []error{failure}
	for _, text := range remaining {
		errs = append(errs, errors.New(text))
	}
	return fmt.Errorf("some objects were not removed in time: %w", errors.Join(errs...))
}
