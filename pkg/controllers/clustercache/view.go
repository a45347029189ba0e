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

// View is the set of clusters that could be reached at one time. A controller that makes a plan and then applies it
// must use the same View for both steps. If the second step used a new View, and another cluster was connected between
// the two steps, the controller would delete all objects from this cluster, because the plan contains none for it.
type View struct {
	all        []*Cluster
	registered map[types.UID]*Cluster
	// host is the UID of the KubeVisionCluster that represents the host cluster. It is empty if there is none.
	host types.UID
}

// View returns the clusters that can be reached now. KubeVisionClusters that are proven to be the same Kubernetes
// cluster have the same *Cluster.
func (r *Registry) View() *View {
	host := r.hostRegistration()
	r.mu.RLock()
	defer r.mu.RUnlock()
	v := &View{all: []*Cluster{r.host}, registered: map[types.UID]*Cluster{}, host: host}
	shared := map[clusters.Revision]*Cluster{}
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		m := r.members[name]
		if m.cluster == nil || m.cluster.ID == r.host.ID || r.retired.Has(m.revision.Cluster) {
			continue
		}
		if t := r.clusterLocked(m, shared); t != nil {
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

func (r *Registry) clusterLocked(m *member, shared map[clusters.Revision]*Cluster) *Cluster {
	holder, ok := r.identities.holders[m.cluster.ID]
	switch {
	case !ok:
		return nil
	case holder.uid == m.revision.Cluster:
		return m.cluster
	case !r.isProvenLocked(m, holder):
		return nil
	}
	if other := r.connectionLocked(holder, m.cluster.ID); other != nil {
		return other.cluster
	}
	// The holder is not connected. All connections that were compared with the same kubeconfig of the holder share the
	// *Cluster of the first one.
	with := r.identities.proofs[m.revision.Cluster].holderRevision
	if shared[with] == nil {
		shared[with] = m.cluster
	}
	return shared[with]
}

// Get returns the Kubernetes cluster of the KubeVisionCluster c. It returns clusters.ErrNotConnected in these cases:
//
//   - The cluster cannot be reached or is being removed.
//   - The host cluster or another KubeVisionCluster already has the identity of c (the UID of the namespace
//     kube-system), and there is no proof that c is the same Kubernetes cluster. A hostile API server can imitate the
//     identity.
func (v *View) Get(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	if c.Spec.InCluster && c.UID == v.host {
		return v.all[0], nil
	}
	if found := v.registered[c.UID]; found != nil && !c.Spec.InCluster {
		return found, nil
	}
	return nil, fmt.Errorf("%w: %s", clusters.ErrNotConnected, c.Name)
}

// All returns the host cluster and all member clusters in the View. A cluster that is registered several times occurs
// once.
func (v *View) All() []*Cluster { return v.all }
