// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package removal uninstalls KubeVision from a host cluster: it deletes the users, clusters and role bindings first, so
// that the controllers remove their objects from members, and then all other objects of the installation. Each step can
// be repeated after a partial removal.
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

// Remover removes one installation.
type Remover struct {
	// Client reads and writes without a cache, with the rights of a cluster administrator.
	Client client.Client
	Log    klog.Logger
	// Controllers runs the controllers that revoke grants until its context ends. It is called only if no
	// kubevision-controller-manager is available.
	Controllers func(context.Context) error
	// Abandon contains the clusters that are unregistered even if KubeVision's objects on them cannot be removed.
	Abandon []string
	// Timeout bounds the removal of users, clusters and role bindings, and separately the removal of all other objects.
	Timeout time.Duration

	// retried is the time of the last attempt of retryCleanup for each CustomResourceDefinition.
	retried map[types.UID]time.Time
}

// Remove removes the installation, or returns an error that names the remaining objects. If the objects on a member
// cannot be removed, it keeps the installation, which would otherwise lose track of the grants on the member.
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

// await polls until left returns no objects. After a timeout, its error names the remaining objects.
func await(ctx context.Context, left func(context.Context) ([]string, error)) error {
	var remaining []string
	var failure error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		found, err := left(ctx)
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
