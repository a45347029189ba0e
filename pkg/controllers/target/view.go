// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// View is what can be reached at one moment. Connections come and go at any time: whoever first plans and then acts needs one view for both, or
// would take a cluster that was connected meanwhile for one where nothing was planned.
type View struct {
	all        []*Cluster
	registered map[types.UID]*Cluster
	// host is the registration of the host that is in force.
	host types.UID
}

// View is what can be reached now. Registrations are one target where that is proven.
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
		if t := r.represent(m, alone); t != nil {
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

// represent is the target behind a member: that of the registration which holds the identity, where the member is proven to be the same
// cluster and the holder is connected. Otherwise, members that are proven to be the same share one in alone. It is nil without proof. The caller
// holds the lock.
func (r *Registry) represent(m *member, alone map[clusters.Revision]*Cluster) *Cluster {
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

// Get is the cluster behind a registration, the same one for all that are proven to lead there. It is clusters.ErrNotConnected where it cannot
// be reached, is being cleaned, or claims to be a cluster that another registration holds.
func (v *View) Get(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	if c.Spec.InCluster && c.UID == v.host {
		return v.all[0], nil
	}
	if found := v.registered[c.UID]; found != nil && !c.Spec.InCluster {
		return found, nil
	}
	return nil, fmt.Errorf("%w: %s", clusters.ErrNotConnected, c.Name)
}

// All are the clusters that can be reached: the host, and each member once, however often it is registered.
func (v *View) All() []*Cluster { return v.all }
