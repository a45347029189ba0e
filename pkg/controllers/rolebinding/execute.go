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
	// parallelTargets bounds the clusters that are written to concurrently for one binding.
	parallelTargets = 8
	// parallelRemovals bounds the clusters from which objects are removed concurrently. It is larger than
	// parallelTargets because a cluster that does not respond occupies its place until removalTimeout.
	parallelRemovals = 32
	// removalTimeout bounds the removal of the objects of a deleted binding from one cluster.
	removalTimeout = 10 * time.Second
	// parallelDeletes and parallelWrites bound the concurrent calls to one cluster for one binding. Deletes have the
	// higher bound because they revoke rights.
	parallelDeletes = 8
	parallelWrites  = 4
	// turn is the number of objects that are written to a cluster for one binding before other bindings are served.
	turn = 64
)

// execute first revokes rights on every cluster that the binding no longer grants, and then grants rights. A revocation
// on one cluster never waits for a grant on another. The permission to use the clusters is granted last. A failure on a
// member is recorded in its grant and does not stop the others. The returned error is that of the host.
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
			ctrl.LoggerFrom(ctx).Info("The binding is not applied on a cluster", "clusterID", t.ID, "reason",
				result.Error())
		default:
			ctrl.LoggerFrom(ctx).Error(result, "Failed to revoke the rights on a cluster", "clusterID", t.ID)
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

// grantUse grants the subjects the use of the clusters, and returns the error of the grant on the host, if any. It
// stops at the first error, since the ClusterRoleBinding needs the ClusterRole.
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

// grantOnCluster applies the planned objects to a cluster, at most one turn of them. RoleBindings are independent of
// each other: a failure in one namespace, where a tenant may have created an object of the same name, does not stop
// the others.
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
	var left, written atomic.Int64 // Failures are not counted, because they would use up every turn.
	failed := newFailures()
	err := fanout.Each(ctx, len(inNamespaces), parallelWrites, func(ctx context.Context, i int) error {
		if written.Load() >= turn || r.revoking.isActive(g.target.ID) {
			left.Add(1)
			return nil
		}
		err := g.target.Writer.Apply(ctx, inNamespaces[i])
		if !apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			failed.add(err) // the namespace is not being deleted
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

// finalize removes all objects of the binding. It does not wait for unreachable members: without the right to use a
// member, subjects cannot reach the member, and the remaining objects are removed when the member is reachable again.
func (r *Reconciler) finalize(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) error {
	return finalizer.Finish(ctx, r.Client, b, finalizerName, func(ctx context.Context) error {
		err := errors.Join(r.removeAll(ctx, r.Targets.Host(), b.Name), r.removeFromMembers(ctx, b.Name))
		r.revocations.note(r.Recorder, b, err)
		return err
	})
}

// removeOrphans removes the objects of a deleted binding. An object that has the binding's label but belongs to another
// binding is repaired concurrently, and is not removed if the repair comes first.
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

// removeFromMembers removes the objects of the binding from all members. It returns an error only for members that
// can be reached.
func (r *Reconciler) removeFromMembers(ctx context.Context, binding string) error {
	members := slices.DeleteFunc(slices.Clone(r.Targets.All()), func(t *clustercache.Cluster) bool {
		return t == r.Targets.Host()
	})
	return removeFromEach(ctx, members, func(ctx context.Context, t *clustercache.Cluster) error {
		if err := r.removeAll(ctx, t, binding); err != nil && slices.Contains(r.Targets.All(), t) {
			return err
		}
		return nil
	})
}

// removeFromEach calls remove for several clusters concurrently, with removalTimeout for each of them. An error on
// one cluster does not stop the others.
func removeFromEach(
	ctx context.Context, targets []*clustercache.Cluster, remove func(context.Context, *clustercache.Cluster) error,
) error {
	errs := make([]error, len(targets))
	err := fanout.Each(ctx, len(targets), parallelRemovals, func(ctx context.Context, i int) error {
		ctx, cancel := context.WithTimeout(ctx, removalTimeout)
		defer cancel()
		errs[i] = remove(ctx, targets[i])
		return nil
	})
	return errors.Join(err, errors.Join(errs...))
}
