// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/finalizer"
	"github.com/kubevision-io/kubevision/pkg/fanout"
)

const (
	// parallelTargets are given to at once for one binding.
	parallelTargets = 8
	// parallelRemovals bounds the clusters that something is taken away from at once. It is larger than parallelTargets
	// because a cluster that does not answer keeps its place until removalTimeout.
	parallelRemovals = 32
	// removalTimeout bounds the time that one cluster has to take away the objects of a binding that is gone.
	removalTimeout = 10 * time.Second
	// parallelDeletes and parallelWrites are made at once on one cluster for one binding: more, where rights are taken away.
	parallelDeletes = 8
	parallelWrites  = 4
	// turn is how many objects are written on one cluster before other bindings have their turn.
	turn = 64
)

// execute takes away from every cluster what is no longer granted, and gives afterwards: on no cluster does the former
// wait for the latter. It lets the subjects use the clusters last. A failure on a member is noted in its grant and
// stops nothing elsewhere; the error is the host's.
func (r *Reconciler) execute(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) error {
	host := r.Targets.Host()
	all := p.view.All()
	results := make([]error, len(all))
	places := make(chan struct{}, parallelTargets)
	err := fanout.Each(ctx, len(all), -1, func(ctx context.Context, i int) error {
		t, g := all[i], p.grantOn(all[i])
		if results[i] = r.revokeOnCluster(ctx, b, p, t, g); results[i] != nil || g == nil || !p.mayGive(g) {
			return nil
		}
		places <- struct{}{}
		defer func() { <-places }()
		results[i] = r.grantOnCluster(ctx, g)
		return nil
	})
	failures := []error{err}
	for i, t := range all {
		g, result := p.grantOn(t), results[i]
		if errors.Is(result, errRevocation) {
			failures = append(failures, result)
		}
		switch {
		case result == nil:
		case g != nil:
			g.err = errors.Join(result, g.err)
			ctrl.LoggerFrom(ctx).Info("The binding is not in force on a cluster", "clusterID", t.ID, "reason", result.Error())
		default:
			ctrl.LoggerFrom(ctx).Error(result, "Taking back what was granted on a cluster", "clusterID", t.ID)
		}
	}
	if ctx.Err() == nil {
		r.revocations.note(r.Recorder, b, errors.Join(failures...))
	}
	hostErr := errors.Join(err, results[slices.Index(all, host)], p.usesErr)
	if hostErr != nil || p.waiting() || p.leftOut || p.exceeds(host) {
		return hostErr
	}
	return grantUse(ctx, p, host)
}

// grantUse lets the subjects use the clusters, and returns what failed on the host besides. The ClusterRoleBinding
// stands on the ClusterRole: it is not made where that one fails.
func grantUse(ctx context.Context, p *plan, host *clustercache.Cluster) error {
	for _, o := range p.uses {
		if err := host.Writer.Apply(ctx, o); err != nil {
			return err
		}
	}
	if g := p.grantOn(host); g != nil {
		return g.err
	}
	return nil
}

// grantOnCluster makes a cluster what the plan says, for one turn. RoleBindings do not stand on each other, and what fails in a
// namespace, where others than administrators may have made an object of that name, does not keep the subjects from the
// rest.
func (r *Reconciler) grantOnCluster(ctx context.Context, g *grant) error {
	if err := g.target.Impersonator.Ensure(ctx); err != nil {
		return err
	}
	var inNamespaces []client.Object
	for _, o := range g.objects {
		existing := g.existing[keyOf(o)]
		switch {
		case !g.ready(boundRole(o)), existing != nil && apply.Matches(existing, o):
		case o.GetNamespace() == "":
			if err := g.target.Writer.Apply(ctx, o); err != nil {
				return err
			}
		default:
			inNamespaces = append(inNamespaces, o)
		}
	}
	var left, written atomic.Int64 // what fails takes no part of the turn, or it would keep others from theirs for good
	failed := newFailures()
	err := fanout.Each(ctx, len(inNamespaces), parallelWrites, func(ctx context.Context, i int) error {
		if written.Load() >= turn || r.revoking.isActive(g.target.ID) {
			left.Add(1)
			return nil
		}
		err := g.target.Writer.Apply(ctx, inNamespaces[i])
		if !apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			failed.add(err) // the namespace is there still
		}
		if err == nil {
			written.Add(1)
		}
		return nil
	})
	g.waiting += int(left.Load())
	g.err = errors.Join(err, failed.join(), g.err)
	return nil
}

// finalize takes everything away that was made for the binding. Members that cannot be reached are not waited for: without the right to use
// them nobody gets there, and what is left on one is taken away as soon as it can be reached.
func (r *Reconciler) finalize(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) error {
	return finalizer.Finish(ctx, r.Client, b, finalizerName, func(ctx context.Context) error {
		err := errors.Join(r.removeAll(ctx, r.Targets.Host(), b.Name), r.removeFromMembers(ctx, b.Name))
		r.revocations.note(r.Recorder, b, err)
		return err
	})
}

// removeOrphans takes away what was made for a binding that is not there any more. What somebody has only put that binding's label on is being
// repaired at the same time, and stays where that comes first.
func (r *Reconciler) removeOrphans(ctx context.Context, binding string) error {
	err := removeFromEach(ctx, r.Targets.All(), func(ctx context.Context, t *clustercache.Cluster) error {
		found, err := listMade(ctx, t.Writer.Client, indexed(binding))
		errs := []error{err}
		for _, o := range found {
			errs = append(errs, t.Writer.DeleteUnchanged(ctx, o))
		}
		return errors.Join(errs...)
	})
	r.revocations.settle(binding, err)
	return err
}

// removeFromMembers fails only where a member that could be reached did not do it.
func (r *Reconciler) removeFromMembers(ctx context.Context, binding string) error {
	members := slices.DeleteFunc(slices.Clone(r.Targets.All()), func(t *clustercache.Cluster) bool { return t == r.Targets.Host() })
	return removeFromEach(ctx, members, func(ctx context.Context, t *clustercache.Cluster) error {
		if err := r.removeAll(ctx, t, binding); err != nil && slices.Contains(r.Targets.All(), t) {
			return err
		}
		return nil
	})
}

// removeFromEach calls remove for several clusters at once, and gives each of them removalTimeout. An error on one stops nothing elsewhere.
func removeFromEach(ctx context.Context, targets []*clustercache.Cluster, remove func(context.Context, *clustercache.Cluster) error) error {
	errs := make([]error, len(targets))
	err := fanout.Each(ctx, len(targets), parallelRemovals, func(ctx context.Context, i int) error {
		ctx, cancel := context.WithTimeout(ctx, removalTimeout)
		defer cancel()
		errs[i] = remove(ctx, targets[i])
		return nil
	})
	return errors.Join(err, errors.Join(errs...))
}
