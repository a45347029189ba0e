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
	// parallelTargets bounds the number of clusters to which objects of one binding are written concurrently.
	parallelTargets = 8
	// parallelRemovals bounds the number of clusters from which objects of a deleted binding are removed concurrently.
	// The number is high because each removal from a cluster that does not respond lasts for removalTimeout.
	parallelRemovals = 32
	// removalTimeout bounds the time to remove the objects of a deleted binding from one cluster.
	removalTimeout = 10 * time.Second
	// parallelDeletes bounds the concurrent deletions on one cluster for one binding. It is larger than parallelWrites,
	// because deletions revoke rights.
	parallelDeletes = 8
	// parallelWrites bounds the concurrent writes to one cluster for one binding.
	parallelWrites = 4
	// turn is the number of RoleBindings that one reconciliation of a KubeVisionRoleBinding writes to a cluster. The
	// next reconciliation writes further RoleBindings, so that other KubeVisionRoleBindings are not delayed.
	turn = 64
)

// execute applies the plan. On each cluster, it first revokes the rights that the binding no longer grants, and then
// grants rights. A revocation on one cluster does not wait for other clusters. Last, execute grants the verb "use" on
// the selected KubeVisionClusters. It records the error of a member cluster in the grant of this cluster, and continues
// with the other clusters. It returns the error of the host cluster.
func (r *Reconciler) execute(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding, p *plan) error {
	host := r.Targets.Host()
	all := p.view.All()
	results := make([]error, len(all))
	places := make(chan struct{}, parallelTargets)
	err := fanout.Each(ctx, len(all), -1, func(ctx context.Context, i int) error {
		t, g := all[i], p.grantOn(all[i])
		if results[i] = r.revokeOnCluster(ctx, b, p, t, g); results[i] != nil || g == nil || !p.mayCreate(g) {
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
	hostErr := errors.Join(err, results[slices.Index(all, host)], p.useErr)
	if hostErr != nil || p.waiting() || p.leftOut || p.exceeds(host) {
		return hostErr
	}
	return grantUse(ctx, p, host)
}

// grantUse grants the subjects the verb "use" on the selected KubeVisionClusters, with RBAC objects on the host
// cluster. It returns the first error of a write. If all writes succeed, it returns the error that the plan has
// recorded for the host cluster, or nil.
func grantUse(ctx context.Context, p *plan, host *clustercache.Cluster) error {
	for _, o := range p.useObjects {
		if err := host.Writer.Apply(ctx, o); err != nil {
			return err
		}
	}
	if g := p.grantOn(host); g != nil {
		return g.err
	}
	return nil
}

// grantOnCluster applies the planned objects to one cluster. One call writes a limited number of RoleBindings, and
// counts the others in g.waiting. After an error in one namespace, for example because another object has the same
// name, it continues with the other namespaces.
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
	// Only successful writes are counted. If failures were counted, too, objects that always fail could fill each
	// reconciliation, and other objects would never be written.
	var left, written atomic.Int64
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

// finalize deletes all objects of the binding, and removes the finalizer. It does not wait for member clusters that
// cannot be reached. The objects on these member clusters remain until the clusters can be reached again. In the
// meantime, the binding does not grant the verb "use". KubeVision requires this verb before it forwards a request to a
// cluster.
func (r *Reconciler) finalize(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) error {
	return finalizer.Finish(ctx, r.Client, b, finalizerName, func(ctx context.Context) error {
		err := errors.Join(r.removeAll(ctx, r.Targets.Host(), b.Name), r.removeFromMembers(ctx, b.Name))
		r.revocations.note(r.Recorder, b, err)
		return err
	})
}

func (r *Reconciler) removeOrphans(ctx context.Context, deletedBinding string) error {
	err := removeFromEach(ctx, r.Targets.All(), func(ctx context.Context, t *clustercache.Cluster) error {
		found, err := listMade(ctx, t.Writer.Client, indexed(deletedBinding))
		errs := []error{err}
		for _, o := range found {
			// The object may belong to an existing binding, if another client has set the wrong label. If the
			// controller has corrected the label since the object was read, the object is not deleted.
			errs = append(errs, t.Writer.DeleteUnchanged(ctx, o))
		}
		return errors.Join(errs...)
	})
	r.revocations.settle(deletedBinding, err)
	return err
}

// removeFromMembers deletes the objects of the binding from all member clusters. It ignores errors of clusters whose
// connection was closed meanwhile.
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

// removeFromEach calls remove for each cluster concurrently, and returns all errors. removalTimeout bounds each call.
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
