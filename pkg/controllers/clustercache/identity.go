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

// ErrUndecided is returned by Confirm if another KubeVisionCluster claims to be the same Kubernetes cluster, and is not
// connected yet. The caller must try again.
var ErrUndecided = errors.New("the cluster that holds the identity is not connected yet")

// ConflictError means that a KubeVisionCluster must not be used, because the host cluster or another KubeVisionCluster
// already has the same identity. The identity is the UID of the namespace kube-system, which a hostile API server can
// imitate.
type ConflictError struct {
	// Winner is the name of the KubeVisionCluster that may still be used. It is empty if the conflict is with a host
	// cluster that is not registered.
	Winner string
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
	// holders maps an identity to the holder of this identity.
	holders map[string]registration
	// proofs maps the UID of a KubeVisionCluster to the proof of its identity.
	proofs map[types.UID]proof
	// conflicts maps the UID of a KubeVisionCluster to the reason why it must not be used.
	conflicts map[types.UID]conflict
	// examined contains the UIDs of KubeVisionClusters for which a connection was attempted since the start of the
	// process.
	examined sets.Set[types.UID]
	// ended contains the UIDs of KubeVisionClusters whose deletion is complete. The informer cache may still contain
	// a deleted KubeVisionCluster for a short time. A deleted KubeVisionCluster must not be added to identities.holders
	// again.
	ended sets.Set[types.UID]
}

// registration identifies a KubeVisionCluster.
type registration struct {
	uid  types.UID
	name string
}

// conflict records why a KubeVisionCluster must not be used: the host cluster or another KubeVisionCluster already has
// the same identity, which is the UID of the namespace kube-system.
type conflict struct {
	// id is the UID of the namespace kube-system.
	id string
	// refusedName is the name of the KubeVisionCluster that must not be used.
	refusedName string
	// refusedRevision is the revision of the kubeconfig that was refused.
	refusedRevision clusters.Revision
	winnerRevision  clusters.Revision
	err             *ConflictError
}

func newIdentities() identities {
	return identities{
		holders: map[string]registration{}, proofs: map[types.UID]proof{}, conflicts: map[types.UID]conflict{},
		examined: sets.New[types.UID](), ended: sets.New[types.UID](),
	}
}

// Confirm returns nil if the KubeVisionCluster c may be used. id is the UID of the namespace kube-system, as returned
// by the API server of c. The parameter all must contain all KubeVisionClusters. Confirm returns these errors:
//
//   - ConflictError: The host cluster already has this UID.
//   - ConflictError: Another KubeVisionCluster already has this UID, and there is no proof that c leads to the same
//     Kubernetes cluster. The UID is no proof, because a hostile API server can return any UID.
//   - ErrUndecided: The proof is not possible yet, because the other KubeVisionCluster is still being connected.
//   - clusters.ErrNotConnected: The connection of c was closed.
func (r *Registry) Confirm(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, id string, all []kubevisionv1alpha1.KubeVisionCluster,
) error {
	// A hostile API server can return the UID of another cluster. Therefore, a UID that is already in use requires a
	// proof. No proof is accepted for the UID of the host cluster.
	if id == r.host.ID {
		return r.recordConflict(c, id, clusters.Revision{}, claimsHost(id, clusters.HostRegistration(all)))
	}
	holder := r.ensureHolder(c, id, all)
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
	e.Winner = inForce.Name
	e.Message += fmt.Sprintf("the host is registered with inCluster as %s; delete this registration", inForce.Name)
	return e
}

func (r *Registry) ensureHolder(
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
	// After a restart, no holder is recorded. The holder is the oldest KubeVisionCluster whose status contains the
	// identity, because it was confirmed earlier. If there is none, the holder is c.
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

func (r *Registry) prove(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, id string, holder registration,
) error {
	r.mu.RLock()
	own, other := r.members[c.Name], r.connectionLocked(holder, id)
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
		e := &ConflictError{Winner: holder.name, Message: claim + fmt.Sprintf(format, arguments...)}
		return r.recordConflict(c, id, revisionOf(other), e)
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

func (r *Registry) recordProof(uid types.UID, p proof) {
	r.mu.Lock()
	r.identities.proofs[uid] = p
	r.mu.Unlock()
	r.EndConflict(uid)
	// The controllers must apply role bindings to the KubeVisionCluster now. Its status may remain the same, so that no
	// watch event triggers the controllers.
	r.notify(nil)
}

// compare returns true if two connections lead to the same Kubernetes cluster.
func (r *Registry) compare(ctx context.Context, holder, other *member) (bool, error) {
	// Ensure creates the namespace of the Secret that sameCluster writes.
	if err := holder.cluster.Impersonator.Ensure(ctx); err != nil {
		return false, fmt.Errorf("preparing the comparison: %w", err)
	}
	return sameCluster(ctx, holder.clientset, other.clientset, nonceSecret(other.revision.Cluster))
}

func (r *Registry) connectionLocked(c registration, id string) *member {
	m := r.members[c.name]
	if m == nil || m.cluster == nil || m.cluster.ID != id || m.revision.Cluster != c.uid || r.retired.Has(c.uid) {
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

// recordConflict records that c must not be used, and returns e.
func (r *Registry) recordConflict(
	c *kubevisionv1alpha1.KubeVisionCluster, id string, winnerRevision clusters.Revision, e *ConflictError,
) *ConflictError {
	r.mu.Lock()
	before, isKnown := r.identities.conflicts[c.UID]
	delete(r.identities.proofs, c.UID)
	r.identities.conflicts[c.UID] = conflict{
		id: id, refusedName: c.Name, refusedRevision: revisionOf(r.members[c.Name]), winnerRevision: winnerRevision,
		err: e,
	}
	r.mu.Unlock()
	// The status of the KubeVisionCluster that remains in use contains the conflict.
	if !isKnown || before.err.Winner != e.Winner {
		r.wake(e.Winner)
	}
	return e
}

// DisputeHost records a ConflictError for c, and returns this ConflictError. The parameter inForce is the
// KubeVisionCluster that already represents the host cluster.
func (r *Registry) DisputeHost(c, inForce *kubevisionv1alpha1.KubeVisionCluster) *ConflictError {
	e := &ConflictError{Winner: inForce.Name, Message: fmt.Sprintf(
		"the host cluster is already registered as %s, and may be registered only once: delete one of the two",
		inForce.Name)}
	return r.recordConflict(c, r.host.ID, clusters.Revision{}, e)
}

// EndConflict deletes the ConflictError that is recorded for the KubeVisionCluster with the given UID. If there was
// one, EndConflict triggers a reconciliation of the KubeVisionCluster that ConflictError.Winner names.
func (r *Registry) EndConflict(uid types.UID) {
	r.mu.Lock()
	ended, isKnown := r.identities.conflicts[uid]
	delete(r.identities.conflicts, uid)
	r.mu.Unlock()
	if isKnown {
		r.wake(ended.err.Winner)
	}
}

func (r *Registry) wake(name string) {
	if name != "" {
		r.notify(&kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
}

// Conflict returns the ConflictError that is recorded for the KubeVisionCluster, or nil if none is recorded. It also
// returns nil if Confirm must decide again, because one of these has changed since the decision:
//
//   - the revision of the KubeVisionCluster
//   - the holder, which is the KubeVisionCluster that may use the identity of the cluster
//   - the connection of the holder
func (r *Registry) Conflict(uid types.UID, revision clusters.Revision) *ConflictError {
	r.mu.RLock()
	defer r.mu.RUnlock()
	known, ok := r.identities.conflicts[uid]
	if !ok || known.refusedRevision != revision { // a new kubeconfig may lead to another cluster
		return nil
	}
	if known.id == r.host.ID {
		return known.err
	}
	// A new holder, or a new connection of the holder, may make a proof possible.
	holder, ok := r.identities.holders[known.id]
	if !ok || holder.name != known.err.Winner ||
		revisionOf(r.connectionLocked(holder, known.id)) != known.winnerRevision {
		return nil
	}
	return known.err
}

// IsProvisional returns true if Confirm has found that another cluster holds the identity of the KubeVisionCluster. The
// caller must repeat Confirm when another cluster is connected or disconnected, because the result can change.
func (r *Registry) IsProvisional(uid types.UID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, disputed := r.identities.conflicts[uid] // a connection of the holder may make a proof possible
	_, proven := r.identities.proofs[uid]      // a new connection of the holder makes the proof invalid
	return disputed || proven
}

// Rivals returns the sorted names of the other KubeVisionClusters that must not be used, because c already has the
// same identity. The identity is the UID of the namespace kube-system.
func (r *Registry) Rivals(c *kubevisionv1alpha1.KubeVisionCluster) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []string
	for uid, found := range r.identities.conflicts {
		isHolder := r.identities.holders[found.id].uid == c.UID || (c.Spec.InCluster && found.id == r.host.ID)
		if isHolder && uid != c.UID {
			out = append(out, found.refusedName)
		}
	}
	slices.Sort(out)
	return out
}

// MarkExamined records that KubeVision has tried to connect to the KubeVisionCluster, successfully or not. Before this
// call, Confirm can return ErrUndecided for other KubeVisionClusters that claim the same identity.
func (r *Registry) MarkExamined(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.identities.examined.Insert(uid)
}

// IsConfirmed returns true if c was confirmed as the Kubernetes cluster whose namespace kube-system has the UID id.
func (r *Registry) IsConfirmed(c *kubevisionv1alpha1.KubeVisionCluster, id string) bool {
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
	return m != nil && m.cluster != nil && m.revision.Cluster == c.UID && r.isProvenLocked(m, holder)
}

func (r *Registry) isProvenLocked(m *member, holder registration) bool {
	p, ok := r.identities.proofs[m.revision.Cluster]
	other := r.connectionLocked(holder, m.cluster.ID)
	// A proof becomes invalid if one of the two kubeconfigs changes.
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
