// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"errors"
	"slices"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/controllers/target"
	"github.com/kubevision-io/kubevision/pkg/fanout"
)

const (
	// parallelTargets are written to at once for one binding.
	parallelTargets = 8
	// parallelRemovals bounds the clusters that something is taken away from at once. It is larger than parallelTargets because a cluster
	// that does not answer keeps its place until removalTimeout.
	parallelRemovals = 32
	// removalTimeout bounds the time that one cluster has to take away what was made for a binding.
	removalTimeout = 10 * time.Second
)

// execute takes away first what is no longer granted, and grants the use of clusters last, when the rest of it is in place. What fails on a
// member is noted with it and stops nothing elsewhere; the error is the host's.
func (r *Reconciler) execute(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) error {
	host := r.Targets.Host()
	all := p.view.All()
	var hostErr error
	err := fanout.Each(ctx, len(all), parallelTargets, func(ctx context.Context, i int) error {
		t, g := all[i], p.grantOn(all[i])
		err := r.executeOn(ctx, b, t, g, p)
		switch {
		case t == host:
			hostErr = err
		case g != nil && err != nil:
			g.err = err
			ctrl.LoggerFrom(ctx).Info("The binding is not in force on a member", "clusterID", t.ID, "reason", err.Error())
		case err != nil:
			ctrl.LoggerFrom(ctx).Error(err, "Taking back what was granted on a member", "clusterID", t.ID)
		}
		return nil
	})
	if err := errors.Join(err, hostErr); err != nil {
		return err
	}
	var errs []error
	for _, o := range p.uses {
		errs = append(errs, host.Writer.Apply(ctx, o))
	}
	return errors.Join(errs...)
}

// executeOn makes a cluster what the plan says. Without a grant there, everything that was made for the binding goes.
func (r *Reconciler) executeOn(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, t *target.Cluster, g *grant, p *plan) error {
	wanted := map[objectKey]bool{}
	if t == r.Targets.Host() {
		addKeys(wanted, p.uses)
	}
	if g != nil {
		addKeys(wanted, g.objects)
	}
	if err := r.prune(ctx, b, t, wanted); err != nil || g == nil {
		return err
	}
	if err := t.Impersonator.Ensure(ctx); err != nil {
		return err
	}
	var errs []error
	for _, o := range g.objects {
		errs = append(errs, t.Writer.Apply(ctx, o))
	}
	return errors.Join(errs...)
}

// finalize takes everything away that was made for the binding. Members that cannot be reached are not waited for: without the right to use
// them nobody gets there, and what is left on one is taken away as soon as it can be reached.
func (r *Reconciler) finalize(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) error {
	return finalizer.Finish(ctx, r.Client, b, finalizerName, func(ctx context.Context) error {
		return errors.Join(removeAll(ctx, r.Targets.Host(), b.Name), r.removeFromMembers(ctx, b.Name))
	})
}

// removeOrphans takes away what was made for a binding that is not there any more. What somebody has only put that binding's label on is being
// repaired at the same time, and stays where that comes first.
func (r *Reconciler) removeOrphans(ctx context.Context, binding string) error {
	return removeFromEach(ctx, r.Targets.All(), func(ctx context.Context, t *target.Cluster) error {
		found, err := made(ctx, t.Writer.Client, labelled(binding))
		errs := []error{err}
		for _, o := range found {
			errs = append(errs, t.Writer.DeleteUnchanged(ctx, o))
		}
		return errors.Join(errs...)
	})
}

// removeFromMembers fails only where a member that could be reached did not do it.
func (r *Reconciler) removeFromMembers(ctx context.Context, binding string) error {
	members := slices.DeleteFunc(slices.Clone(r.Targets.All()), func(t *target.Cluster) bool { return t == r.Targets.Host() })
	return removeFromEach(ctx, members, func(ctx context.Context, t *target.Cluster) error {
		if err := removeAll(ctx, t, binding); err != nil && slices.Contains(r.Targets.All(), t) {
			return err
		}
		return nil
	})
}

// removeFromEach calls remove for several clusters at once, and gives each of them removalTimeout. An error on one stops nothing elsewhere.
func removeFromEach(ctx context.Context, targets []*target.Cluster, remove func(context.Context, *target.Cluster) error) error {
	errs := make([]error, len(targets))
	err := fanout.Each(ctx, len(targets), parallelRemovals, func(ctx context.Context, i int) error {
		ctx, cancel := context.WithTimeout(ctx, removalTimeout)
		defer cancel()
		errs[i] = remove(ctx, targets[i])
		return nil
	})
	return errors.Join(append(errs, err)...)
}
