// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// ErrUndecided is returned by Confirm if another KubeVisionCluster has the same identity (see ConflictError), and is
// not connected yet. The caller must try again.
var ErrUndecided = errors.New("the cluster that holds the identity is not connected yet")

// ConflictError is returned by Confirm if a KubeVisionCluster has the same identity as another KubeVisionCluster that
// is already in use, and there is no proof that both are the same Kubernetes cluster. The identity is the UID of the
// namespace kube-system.
type ConflictError struct {
	// Holder is the name of the other KubeVisionCluster. It is empty if the host cluster has the identity and no
	// KubeVisionCluster represents the host.
	Holder string
	// Message describes the conflict and how to solve it. Apart from the UID of the namespace kube-system, it contains
	// no data that the cluster has sent.
	Message string
}

// Error implements error.
func (e *ConflictError) Error() string { return e.Message }

// identities records which KubeVisionCluster holds which identity. The identity of a Kubernetes cluster is the UID of
// its namespace kube-system. The first KubeVisionCluster with an identity is the holder of this identity. A hostile API
// server can respond with any UID. Therefore, another KubeVisionCluster with the same identity must not be used until
// it is proven to be the same Kubernetes cluster (see sameCluster).
type identities struct {
	// holders maps each identity, which is the UID of a namespace kube-system, to the KubeVisionCluster that needs no
	// proof.
	holders map[string]registration
	// proofs maps the UID of any other KubeVisionCluster to the proof that it is the same Kubernetes cluster as the
	// KubeVisionCluster in holders.
	proofs map[types.UID]proof
	// conflicts maps the UID of a KubeVisionCluster that must not be used to the reason: the host cluster or another
	// KubeVisionCluster has the same identity.
	conflicts map[types.UID]conflict
	// examined contains the UIDs of KubeVisionClusters for which a connection was attempted since the start of the
	// process.
	examined sets.Set[types.UID]
	// ended contains the UIDs of released KubeVisionClusters. Such a KubeVisionCluster may remain in the cache for a
	// short time, but must not become the holder of an identity again.
	ended sets.Set[types.UID]
}

type registration struct {
	uid  types.UID
	name string
}

// conflict records that a KubeVisionCluster must not be used, because the host cluster or another KubeVisionCluster has
// the same identity (see identities). ownRevision and holderRevision are the revisions of the two kubeconfigs at that
// time.
type conflict struct {
	id, name                    string
	ownRevision, holderRevision clusters.Revision
	err                         *ConflictError
}

func newIdentities() identities {
	return identities{
		holders: map[string]registration{}, proofs: map[types.UID]proof{}, conflicts: map[types.UID]conflict{},
		examined: sets.New[types.UID](), ended: sets.New[types.UID](),
	}
}

// Confirm returns nil if the KubeVisionCluster c may be used. The id is the UID of the namespace kube-system with which
// the API server of c has responded. It is the identity of the cluster. The first KubeVisionCluster with an identity is
// the holder of this identity. Any other KubeVisionCluster with the same identity needs a proof that it is the same
// Kubernetes cluster as the holder. Without a proof, Confirm returns a ConflictError or ErrUndecided. The caller must
// pass all KubeVisionClusters.
func (r *Registry) Confirm(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, id string, all []kubevisionv1alpha1.KubeVisionCluster,
) error {
	if id == r.host.ID {
		return r.dispute(c, id, clusters.Revision{}, claimsHost(id, clusters.HostRegistration(all)))
	}
	holder := r.claim(c, id, all)
	if holder.uid == c.UID {
		r.EndConflict(c.UID)
		return nil
	}
	return r.prove(ctx, c, id, holder)
}

func claimsHost(id string, inForce *kubevisionv1alpha1.KubeVisionCluster) *ConflictError {
	e := &ConflictError{Message: fmt.Sprintf("the cluster claims to be the host cluster (%s): ", id)}
	if inForce == nil {
		e.Message += "register the host with inCluster, and delete this registration"
		return e
	}
	e.Holder = inForce.Name
	e.Message += fmt.Sprintf("the host is registered with inCluster as %s; delete this registration", inForce.Name)
	return e
}

// claim returns the KubeVisionCluster that holds the identity id (see identities). If no holder is recorded, for
// example after a restart, claim records the oldest KubeVisionCluster whose status contains the identity. If no status
// contains the identity, claim records c.
func (r *Registry) claim(
	c *kubevisionv1alpha1.KubeVisionCluster, id string, all []kubevisionv1alpha1.KubeVisionCluster,
) registration {
	registered := sets.New(c.UID)
	for i := range all {
		registered.Insert(all[i].UID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	isGone := func(uid types.UID) bool { return !registered.Has(uid) }
	maps.DeleteFunc(r.identities.proofs, func(uid types.UID, _ proof) bool { return isGone(uid) })
	maps.DeleteFunc(r.identities.conflicts, func(uid types.UID, _ conflict) bool { return isGone(uid) })
	if holder, ok := r.identities.holders[id]; ok && !isGone(holder.uid) {
		return holder
	}
	oldest := c
	for i := range all {
		other := &all[i]
		confirmed := !other.Spec.InCluster && other.Status.ClusterID == id && !r.identities.ended.Has(other.UID)
		if confirmed && (oldest.Status.ClusterID != id || clusters.Older(other, oldest)) {
			oldest = other
		}
	}
	holder := registration{uid: oldest.UID, name: oldest.Name}
	r.identities.holders[id] = holder
	return holder
}

// prove compares the connection of c with the connection of the KubeVisionCluster that holds the identity id (see
// identities). It does nothing if the connections are already proven to lead to the same Kubernetes cluster. It returns
// a ConflictError if the clusters differ or cannot be compared, and ErrUndecided while the holder is being connected.
func (r *Registry) prove(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, id string, holder registration,
) error {
	r.mu.RLock()
	own, other := r.members[c.Name], r.connected(holder, id)
	isOpen := r.members[holder.name] != nil && r.members[holder.name].revision.Cluster == holder.uid
	isExamined := r.identities.examined.Has(holder.uid)
	known, isProven := r.identities.proofs[c.UID]
	r.mu.RUnlock()
	switch {
	case own == nil || own.revision.Cluster != c.UID:
		return fmt.Errorf("%w: %s was closed", clusters.ErrNotConnected, c.Name)
	case isProven && known.ownRevision == own.revision && known.holderRevision.Cluster == holder.uid &&
		(other == nil || other.revision == known.holderRevision):
		r.EndConflict(c.UID)
		return nil
	case other == nil && (isOpen || !isExamined):
		return ErrUndecided
	}
	refused := func(format string, arguments ...any) error {
		claim := fmt.Sprintf("the cluster claims the identity of cluster %s (%s), without proof that both are "+
			"the same: ", holder.name, id)
		e := &ConflictError{Holder: holder.name, Message: claim + fmt.Sprintf(format, arguments...)}
		return r.dispute(c, id, revisionOf(other), e)
	}
	if other == nil {
		return refused("the two clusters are compared when %s is connected", holder.name)
	}
	same, err := r.compare(ctx, other, own)
	switch {
	case err != nil:
		ctrl.LoggerFrom(ctx).Error(err, "Failed to compare two registrations that claim one identity",
			"holder", holder.name)
		return refused("the two clusters could not be compared, which requires the right to write and read Secrets " +
			"in both; the comparison is repeated")
	case !same:
		return refused("a Secret that was written through one registration does not exist in the other one; " +
			"delete the wrong registration")
	}
	r.recordProof(c.UID, proof{ownRevision: own.revision, holderRevision: other.revision})
	return nil
}

// recordProof records the proof that the KubeVisionCluster with the given UID is the same Kubernetes cluster as another
// KubeVisionCluster (see identities). It notifies the subscribers, because the KubeVisionCluster may be used from then
// on, and bindings must be applied to it. Its status does not trigger this, because the status may be the same as
// before.
func (r *Registry) recordProof(uid types.UID, p proof) {
	r.mu.Lock()
	r.identities.proofs[uid] = p
	r.mu.Unlock()
	r.EndConflict(uid)
	r.notify(nil)
}

// compare returns true if two connections lead to the same Kubernetes cluster (see sameCluster). First, it creates the
// impersonating ServiceAccount through the first connection. This step also creates the namespace of the Secret that
// sameCluster writes.
func (r *Registry) compare(ctx context.Context, holder, other *member) (bool, error) {
	if err := holder.cluster.Impersonator.Ensure(ctx); err != nil {
		return false, fmt.Errorf("preparing the comparison: %w", err)
	}
	return sameCluster(ctx, holder.clientset, other.clientset, nonceSecret(other.revision.Cluster))
}

// connected returns the connection of the given KubeVisionCluster, which holds the identity id (see identities). It
// returns nil in these cases:
//   - The KubeVisionCluster is retired.
//   - There is no connection, or its caches are not filled.
//   - The connected cluster has another identity.
//
// The caller must hold the lock.
func (r *Registry) connected(holder registration, id string) *member {
	m := r.members[holder.name]
	if m == nil || m.cluster == nil || m.cluster.ID != id || m.revision.Cluster != holder.uid ||
		r.retired.Has(holder.uid) {
		return nil
	}
	return m
}

func revisionOf(m *member) clusters.Revision {
	if m == nil {
		return clusters.Revision{}
	}
	return m.revision
}

// dispute records that the KubeVisionCluster c must not be used because of the conflict e, and returns e. If c has a
// proof (see identities.proofs), dispute deletes the proof. If the conflict is new, dispute also triggers a
// reconciliation of the KubeVisionCluster e.Holder.
func (r *Registry) dispute(
	c *kubevisionv1alpha1.KubeVisionCluster, id string, holder clusters.Revision, e *ConflictError,
) *ConflictError {
	r.mu.Lock()
	before, isKnown := r.identities.conflicts[c.UID]
	delete(r.identities.proofs, c.UID)
	r.identities.conflicts[c.UID] = conflict{
		id: id, name: c.Name, ownRevision: revisionOf(r.members[c.Name]), holderRevision: holder, err: e,
	}
	r.mu.Unlock()
	if !isKnown || before.err.Holder != e.Holder {
		r.wake(e.Holder)
	}
	return e
}

// DisputeHost records a conflict of c with the KubeVisionCluster inForce, which already represents the host cluster.
func (r *Registry) DisputeHost(c, inForce *kubevisionv1alpha1.KubeVisionCluster) *ConflictError {
	return r.dispute(c, r.host.ID, clusters.Revision{}, &ConflictError{Holder: inForce.Name, Message: fmt.Sprintf(
		"the host cluster is already registered as %s, and may be registered only once: delete one of the two",
		inForce.Name)})
}

// EndConflict removes the recorded conflict (see ConflictError) of the KubeVisionCluster with the given UID. If there
// was a conflict, EndConflict triggers a reconciliation of the KubeVisionCluster ConflictError.Holder.
func (r *Registry) EndConflict(uid types.UID) {
	r.mu.Lock()
	ended, isKnown := r.identities.conflicts[uid]
	delete(r.identities.conflicts, uid)
	r.mu.Unlock()
	if isKnown {
		r.wake(ended.err.Holder)
	}
}

func (r *Registry) wake(name string) {
	if name != "" {
		r.notify(&kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
}

// Conflict returns the recorded conflict of the KubeVisionCluster with the given UID. The given revision is the current
// revision of its kubeconfig. Conflict returns nil if there is no conflict, or if one of these has changed since the
// conflict was recorded:
//
//   - the kubeconfig of the KubeVisionCluster
//   - the KubeVisionCluster that holds the identity (see ConflictError)
//   - the connection to the KubeVisionCluster that holds the identity
func (r *Registry) Conflict(uid types.UID, revision clusters.Revision) *ConflictError {
	r.mu.RLock()
	defer r.mu.RUnlock()
	known, ok := r.identities.conflicts[uid]
	if !ok || known.ownRevision != revision {
		return nil
	}
	if known.id == r.host.ID {
		return known.err
	}
	holder, ok := r.identities.holders[known.id]
	if !ok || holder.name != known.err.Holder || revisionOf(r.connected(holder, known.id)) != known.holderRevision {
		return nil
	}
	return known.err
}

// IsWaiting returns true if the KubeVisionCluster must be reconciled whenever another cluster is connected or
// disconnected. There are two cases:
//
//   - The KubeVisionCluster has a conflict (see ConflictError). The conflict may end.
//   - The KubeVisionCluster may be used because it is proven to be the same Kubernetes cluster as another
//     KubeVisionCluster. The proof becomes invalid if the other KubeVisionCluster has a new connection.
func (r *Registry) IsWaiting(uid types.UID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, disputed := r.identities.conflicts[uid]
	_, proven := r.identities.proofs[uid]
	return disputed || proven
}

// Rivals returns the sorted names of the KubeVisionClusters that must not be used because of a conflict with c (see
// ConflictError).
func (r *Registry) Rivals(c *kubevisionv1alpha1.KubeVisionCluster) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []string
	for uid, found := range r.identities.conflicts {
		isHolder := r.identities.holders[found.id].uid == c.UID || (c.Spec.InCluster && found.id == r.host.ID)
		if isHolder && uid != c.UID {
			out = append(out, found.name)
		}
	}
	slices.Sort(out)
	return out
}

// MarkExamined records that a connection was attempted for the KubeVisionCluster.
func (r *Registry) MarkExamined(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.identities.examined.Insert(uid)
}

// HoldsIdentity returns true if c holds the identity id (see Confirm), or if c is proven to be the same Kubernetes
// cluster as the holder of this identity.
func (r *Registry) HoldsIdentity(c *kubevisionv1alpha1.KubeVisionCluster, id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	holder, ok := r.identities.holders[id]
	if !ok {
		return false
	}
	if holder.uid == c.UID {
		return true
	}
	m := r.members[c.Name]
	return m != nil && m.cluster != nil && m.revision.Cluster == c.UID && r.isProven(m, holder)
}

// isProven returns true if there is a valid proof that the connection m leads to the same Kubernetes cluster as the
// given KubeVisionCluster, which is the holder of the identity (see identities). The caller must hold the lock.
func (r *Registry) isProven(m *member, holder registration) bool {
	p, ok := r.identities.proofs[m.revision.Cluster]
	other := r.connected(holder, m.cluster.ID)
	return ok && p.ownRevision == m.revision && p.holderRevision.Cluster == holder.uid &&
		(other == nil || other.revision == p.holderRevision)
}

// hostRegistration returns a function that returns the UID of the KubeVisionCluster that represents the host cluster,
// or an empty UID. The reader must be a cache.
func hostRegistration(reader client.Reader) func() types.UID {
	return func() types.UID {
		var all kubevisionv1alpha1.KubeVisionClusterList
		if err := reader.List(context.Background(), &all, client.UnsafeDisableDeepCopy); err != nil {
			return "" // a cache fails only after it was stopped
		}
		if host := clusters.HostRegistration(all.Items); host != nil {
			return host.UID
		}
		return ""
	}
}
