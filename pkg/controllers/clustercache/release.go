// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Release closes the connection of a KubeVisionCluster whose deletion is complete, and removes the records about it.
// Other connected KubeVisionClusters that are proven to be the same Kubernetes cluster remain in use.
func (r *Registry) Release(uid types.UID, name string) {
	r.mu.Lock()
	r.remember(r.identities.ended, uid)
	r.identities.examined.Delete(uid)
	for id, holder := range r.identities.holders {
		if holder.uid == uid {
			r.replaceHolderLocked(id, holder)
		}
	}
	delete(r.identities.proofs, uid)
	r.mu.Unlock()
	r.EndConflict(uid)
	r.Close(name)
	r.notify(nil)
}

// replaceHolderLocked removes oldHolder as the holder of the identity id. If another connected KubeVisionCluster is
// proven to be the same Kubernetes cluster, this KubeVisionCluster becomes the holder.
func (r *Registry) replaceHolderLocked(id string, oldHolder registration) {
	delete(r.identities.holders, id)
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		m := r.members[name]
		uid := m.revision.Cluster
		if m.cluster == nil || m.cluster.ID != id || uid == oldHolder.uid || r.retired.Has(uid) ||
			!r.isProvenLocked(m, oldHolder) {
			continue
		}
		r.identities.holders[id] = registration{uid: uid, name: name}
		with := r.identities.proofs[uid].holderRevision
		delete(r.identities.proofs, uid)
		// The proofs that refer to the old holder must refer to the new holder.
		for other, p := range r.identities.proofs {
			if p.holderRevision == with {
				r.identities.proofs[other] = proof{ownRevision: p.ownRevision, holderRevision: m.revision}
			}
		}
		return
	}
}

// ReleaseName closes the connection of a KubeVisionCluster that no longer exists, and removes the records about it. It
// finds the UID of the KubeVisionCluster by the name.
func (r *Registry) ReleaseName(name string) {
	r.mu.RLock()
	uids := sets.New[types.UID]()
	for _, holder := range r.identities.holders {
		if holder.name == name {
			uids.Insert(holder.uid)
		}
	}
	for uid, found := range r.identities.conflicts {
		if found.refusedName == name {
			uids.Insert(uid)
		}
	}
	if m := r.members[name]; m != nil {
		uids.Insert(m.revision.Cluster)
	}
	r.mu.RUnlock()
	for uid := range uids {
		r.Release(uid, name)
	}
}
