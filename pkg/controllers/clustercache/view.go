// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// View is the set of clusters that are reachable at one time. A controller that plans and then acts must use the same
// view for both, because connections may open and close at any time. Otherwise it would treat a cluster that was
// connected after the plan as a cluster without planned objects.
type View struct {
	all        []*Cluster
	registered map[types.UID]*Cluster
	// host is the UID of the valid registration of the host.
	host types.UID
}

// View returns the clusters that are reachable now. Registrations that are proven to lead to the same cluster share one
// Cluster.
func (r *Registry) View() *View {
	host := r.hostRegistration()
	r.mu.RLock()
	defer r.mu.RUnlock()
	v := &View{all: []*Cluster{r.host}, registered: map[types.UID]*Cluster{}, host: host}
	alone := map[clusters.Revision]*Cluster{}
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		m := r.members[name]
		if m.cluster == nil || m.cluster.ID == r.host.ID || r.retired.Has(m.revision.Cluster) {
			continue
		}
		if t := r.clusterOf(m, alone); t != nil {
			v.registered[m.revision.Cluster] = t
		}
	}
	for _, t := range v.registered {
		if !slices.Contains(v.all, t) {
			v.all = append(v.all, t)
		}
	}
	slices.SortFunc(v.all[1:], func(a, b *Cluster) int { return cmp.Compare(a.ID, b.ID) })
	return v
}

// clusterOf returns the Cluster of a member. Members that are proven to be the same cluster share one Cluster: the
// Cluster of the holder of the identity if the holder is connected, and otherwise an entry of alone. It returns nil
// without a proof. The caller must hold the lock.
func (r *Registry) clusterOf(m *member, alone map[clusters.Revision]*Cluster) *Cluster {
	holder, ok := r.identities.holders[m.cluster.ID]
	switch {
	case !ok:
		return nil
	case holder.uid == m.revision.Cluster:
		return m.cluster
	case !r.isProven(m, holder):
		return nil
	}
	if other := r.connected(holder, m.cluster.ID); other != nil {
		return other.cluster
	}
	with := r.identities.proofs[m.revision.Cluster].holder
	if alone[with] == nil {
		alone[with] = m.cluster
	}
	return alone[with]
}

// Get returns the cluster of a registration. Registrations that are proven to lead to the same cluster share one
// Cluster. It returns clusters.ErrNotConnected if the cluster is unreachable, is being cleaned up, or claims the
// identity of another registration.
func (v *View) Get(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	if c.Spec.InCluster && c.UID == v.host {
		return v.all[0], nil
	}
	if found := v.registered[c.UID]; found != nil && !c.Spec.InCluster {
		return found, nil
	}
	return nil, fmt.Errorf("%w: %s", clusters.ErrNotConnected, c.Name)
}

// All returns the reachable clusters: the host, and each member once, even if it is registered several times.
func (v *View) All() []*Cluster { return v.all }
