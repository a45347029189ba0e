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
}

// View is what can be reached now.
func (r *Registry) View() *View {
	r.mu.RLock()
	defer r.mu.RUnlock()
	v := &View{all: []*Cluster{r.host}, registered: map[types.UID]*Cluster{}}
	representatives := map[string]*Cluster{r.host.ID: r.host}
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		m := r.members[name]
		if m.cluster == nil || r.retired.Has(m.revision.Cluster) {
			continue
		}
		if representatives[m.cluster.ID] == nil {
			representatives[m.cluster.ID] = m.cluster
			v.all = append(v.all, m.cluster)
		}
		v.registered[m.revision.Cluster] = representatives[m.cluster.ID]
	}
	slices.SortFunc(v.all[1:], func(a, b *Cluster) int { return cmp.Compare(a.ID, b.ID) })
	return v
}

// Get is the cluster behind a registration, the same one for all that lead there. It is clusters.ErrNotConnected where it cannot be reached, or is
// being cleaned.
func (v *View) Get(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	if c.Spec.InCluster {
		return v.all[0], nil
	}
	if found := v.registered[c.UID]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%w: %s", clusters.ErrNotConnected, c.Name)
}

// All are the clusters that can be reached: the host, and each member once, however often it is registered.
func (v *View) All() []*Cluster { return v.all }
