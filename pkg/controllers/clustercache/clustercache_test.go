// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
)

func registered(name string, second int64) *kubevisionv1alpha1.KubeVisionCluster {
	return &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(second, 0),
	}}
}

func newTestRegistry(t *testing.T, host *Cluster, all ...*kubevisionv1alpha1.KubeVisionCluster) *Registry {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := kubevisionv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for _, c := range all {
		builder = builder.WithObjects(c)
	}
	return NewRegistry(host, scheme, builder.Build(), nil, addresspolicy.Policy{},
		clusters.NewPool(clusters.DefaultMemberCacheBytes))
}

func (r *Registry) connectAt(name, kubeconfigVersion string, c *Cluster) {
	revision := clusters.Revision{Cluster: types.UID(name), Version: kubeconfigVersion}
	limits := clusters.ControllerLimits(r.pool, time.Time{})
	m, err := newMember(revision, &kubeconfig.Kubeconfig{Server: "https://192.0.2.1"}, addresspolicy.Policy{}, limits,
		func(*member) {})
	if err != nil {
		panic(err)
	}
	m.cluster = c
	r.members[name] = m
}

// setHolder makes the named KubeVisionCluster the holder of a cluster identity. The holder is the first
// KubeVisionCluster with the identity.
func (r *Registry) setHolder(identity, name string) {
	r.identities.holders[identity] = registration{uid: types.UID(name), name: name}
}

// proven records that the two named KubeVisionClusters lead to the same Kubernetes cluster. The record applies only to
// the current connections of both.
func (r *Registry) proven(name, otherName string) {
	r.recordProof(types.UID(name), proof{
		ownRevision: r.members[name].revision, holderRevision: r.members[otherName].revision,
	})
}

// wants verifies that Registry.Get returns the expected cluster for each KubeVisionCluster. The map contains the
// clusters by the names of the KubeVisionClusters. For a nil cluster, Get must return ErrNotConnected.
func (r *Registry) wants(t *testing.T, situation string, want map[string]*Cluster) {
	t.Helper()
	for name, c := range want {
		got, err := r.Get(registered(name, 0))
		if got != c || (c == nil) != errors.Is(err, clusters.ErrNotConnected) {
			t.Errorf("%s: registration %s leads to %v (%v), want %v", situation, name, got, err, c)
		}
	}
}

// TestTwins verifies that KubeVisionClusters share one *Cluster if they are proven to be the same Kubernetes cluster.
// The proof becomes invalid when one of the KubeVisionClusters gets another connection.
func TestTwins(t *testing.T) {
	host, holder, twin, third := &Cluster{ID: "host"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}
	r := newTestRegistry(t, host)
	r.setHolder("1", "b")
	r.connectAt("b", "1", holder)
	r.connectAt("a", "1", twin) // the first one in order
	r.connectAt("c", "1", third)
	r.wants(t, "without proof", map[string]*Cluster{"a": nil, "b": holder, "c": nil})
	if all := r.All(); !slices.Equal(all, []*Cluster{host, holder}) {
		t.Errorf("all are %v", all)
	}
	r.proven("a", "b")
	r.proven("c", "b")
	r.wants(t, "with proof", map[string]*Cluster{"a": holder, "b": holder, "c": holder})

	r.connectAt("a", "2", twin)
	r.wants(t, "after a change of the twin", map[string]*Cluster{"a": nil, "b": holder})
	r.connectAt("a", "1", twin)
	r.connectAt("b", "2", holder)
	r.wants(t, "after a change of the holder", map[string]*Cluster{"a": nil, "b": holder, "c": nil})
	delete(r.members, "b")
	r.wants(t, "without the holder", map[string]*Cluster{"a": twin, "b": nil, "c": twin})
	if all := r.All(); !slices.Equal(all, []*Cluster{host, twin}) {
		t.Errorf("all are %v", all)
	}
	r.connectAt("b", "1", holder)
	r.wants(t, "with the holder again", map[string]*Cluster{"a": holder, "b": holder, "c": holder})

	r.Retire(registered("c", 0))
	r.setHolder("1", "d") // any other registration
	r.wants(t, "with another holder", map[string]*Cluster{"a": nil, "b": nil})
}

// TestProofsAreAnnounced verifies that controllers are notified when two KubeVisionClusters are proven to be the same
// Kubernetes cluster. Otherwise, the role bindings of the second KubeVisionCluster might not be applied.
func TestProofsAreAnnounced(t *testing.T) {
	r := newTestRegistry(t, &Cluster{ID: "host"})
	r.setHolder("1", "b")
	r.connectAt("b", "1", &Cluster{ID: "1"})
	r.connectAt("a", "1", &Cluster{ID: "1"})
	var events []client.Object
	r.subscribers = append(r.subscribers, func(o client.Object) { events = append(events, o) })
	r.proven("a", "b")
	if len(events) != 1 || events[0] != nil {
		t.Errorf("the subscribers received %v", events)
	}
}

// TestOneRegistrationOfTheHost verifies which KubeVisionClusters may represent the host cluster:
//   - Of several KubeVisionClusters with spec.inCluster, only the oldest that is not being deleted may be used.
//   - A member cluster that claims to be the host cluster must not be used.
func TestOneRegistrationOfTheHost(t *testing.T) {
	host := &Cluster{ID: "host"}
	first, second, ending := registered("z", 1), registered("a", 2), registered("b", 0)
	for _, c := range []*kubevisionv1alpha1.KubeVisionCluster{first, second, ending} {
		c.Spec.InCluster = true
	}
	ending.DeletionTimestamp, ending.Finalizers = new(metav1.Now()), []string{"x"}
	r := newTestRegistry(t, host, first, second, ending)
	r.setHolder("host", "m")
	r.connectAt("m", "1", &Cluster{ID: "host"})
	r.wants(t, "a member", map[string]*Cluster{"m": nil})
	for c, want := range map[*kubevisionv1alpha1.KubeVisionCluster]*Cluster{first: host, second: nil, ending: nil} {
		if got, err := r.Get(c); got != want || (err == nil) != (want != nil) {
			t.Errorf("%s leads to %v (%v)", c.Name, got, err)
		}
	}
	if all := r.All(); !slices.Equal(all, []*Cluster{host}) {
		t.Errorf("all are %v", all)
	}
}

// TestClaims verifies which KubeVisionCluster gets a cluster identity if several KubeVisionClusters claim the identity:
//   - The first KubeVisionCluster that claims the identity keeps the identity until the KubeVisionCluster is deleted.
//   - After a restart, the oldest KubeVisionCluster whose status contains the identity gets the identity.
//   - A deleted KubeVisionCluster does not get the identity, even if the KubeVisionCluster is still in a stale cache.
func TestClaims(t *testing.T) {
	a, b, c := registered("a", 3), registered("b", 2), registered("c", 1)
	wants := func(r *Registry, claims, want *kubevisionv1alpha1.KubeVisionCluster,
		all ...*kubevisionv1alpha1.KubeVisionCluster) {
		t.Helper()
		var items []kubevisionv1alpha1.KubeVisionCluster
		for _, one := range all {
			items = append(items, *one)
		}
		if got := r.ensureHolder(claims, "1", items); got.uid != want.UID || got.name != want.Name {
			t.Errorf("it is held by %v, want %s", got, want.Name)
		}
	}
	r := newTestRegistry(t, &Cluster{ID: "host"})
	wants(r, a, a, a, b, c)
	wants(r, b, a, a, b, c)
	wants(r, c, a, a, b, c)
	again := registered("a", 9)
	again.UID = "another"
	wants(r, again, again, again) // now the only registration

	confirmed := func(c *kubevisionv1alpha1.KubeVisionCluster) *kubevisionv1alpha1.KubeVisionCluster {
		out := c.DeepCopy()
		out.Status.ClusterID = "1"
		return out
	}
	r = newTestRegistry(t, &Cluster{ID: "host"})
	wants(r, c, b, confirmed(a), confirmed(b), c)
	r.Release(b.UID, b.Name)
	wants(r, c, a, confirmed(a), confirmed(b), c) // from a stale cache
}

// TestReleaseHandsOver verifies that the removal of a KubeVisionCluster does not affect the other KubeVisionClusters:
//   - A KubeVisionCluster that is proven to be the same cluster as the removed one remains usable.
//   - A KubeVisionCluster that only claims to be the same cluster as the removed one remains unusable.
func TestReleaseHandsOver(t *testing.T) {
	r := newTestRegistry(t, &Cluster{ID: "host"})
	holder, twin, false1 := &Cluster{ID: "1"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}
	r.setHolder("1", "b")
	r.connectAt("a", "1", false1)
	r.connectAt("b", "1", holder)
	r.connectAt("c", "1", twin)
	r.connectAt("d", "1", &Cluster{ID: "1"})
	r.connectAt("e", "1", &Cluster{ID: "1"})
	r.proven("c", "b")
	r.proven("d", "b")
	r.identities.proofs["e"] = proof{ownRevision: r.members["e"].revision,
		holderRevision: clusters.Revision{Cluster: "b", Version: "0"}}
	r.Release("b", "b")
	r.wants(t, "after the end of the holder", map[string]*Cluster{"a": nil, "b": nil, "c": twin, "d": twin, "e": nil})
}

// TestAViewStays verifies that a View does not change when clusters are connected later. A View is a snapshot of the
// connected clusters. It lets a controller compute and apply its changes for the same clusters.
func TestAViewStays(t *testing.T) {
	host, one, again, late := &Cluster{ID: "host"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}, &Cluster{ID: "2"}
	r := newTestRegistry(t, host)
	r.setHolder("1", "a")
	r.setHolder("2", "b")
	r.connectAt("a", "1", one)
	v := r.View()
	r.connectAt("a", "2", again)
	r.connectAt("b", "1", late)
	if got, err := v.Get(registered("a", 0)); got != one || err != nil ||
		!slices.Equal(v.All(), []*Cluster{host, one}) {
		t.Errorf("the registration leads to %v (%v), and all are %v", got, err, v.All())
	}
	if got, err := v.Get(registered("b", 0)); !errors.Is(err, clusters.ErrNotConnected) {
		t.Errorf("what was connected later is %v (%v)", got, err)
	}
	r.wants(t, "now", map[string]*Cluster{"a": again, "b": late})
	other := registered("b", 0)
	other.UID = "another"
	if got, err := r.Get(other); !errors.Is(err, clusters.ErrNotConnected) {
		t.Errorf("what is registered once more leads to %v (%v)", got, err)
	}
}

// TestRetired verifies that only Registry.Retired returns the connection of a KubeVisionCluster that is being deleted.
// Registry.Get and Registry.All must not return this connection, even if the cleanup has connected again. Another
// KubeVisionCluster for the same Kubernetes cluster gets a separate connection.
func TestRetired(t *testing.T) {
	host, one, twin := &Cluster{ID: "host"}, &Cluster{ID: "1"}, &Cluster{ID: "1"}
	r := newTestRegistry(t, host)
	going := registered("a", 0)
	r.setHolder("1", "a")
	r.Retire(going)
	r.connectAt("a", "1", one)
	if all := r.All(); !slices.Equal(all, []*Cluster{host}) {
		t.Errorf("all are %v", all)
	}
	r.wants(t, "everybody", map[string]*Cluster{"a": nil})
	if got, err := r.Retired(going); got != one || err != nil {
		t.Errorf("whoever cleans gets %v (%v)", got, err)
	}
	r.connectAt("b", "1", twin)
	r.proven("b", "a")
	r.wants(t, "the other registration", map[string]*Cluster{"b": twin})
}

// TestEndedRegistrations verifies which deleted KubeVisionClusters a Registry remembers. It remembers all that the
// informer cache still contains. It remembers only a bounded number of the others.
func TestEndedRegistrations(t *testing.T) {
	known := registered("known", 1)
	r := newTestRegistry(t, &Cluster{ID: "host"}, known)
	r.Retire(known)
	r.Release(known.UID, known.Name)
	for i := range 3 * maxDeletedClusters {
		c := registered(fmt.Sprintf("c-%d", i), 1)
		r.Retire(c)
		r.Release(c.UID, c.Name)
	}
	for what, ended := range map[string]sets.Set[types.UID]{"retired": r.retired, "released": r.identities.ended} {
		if len(ended) > maxDeletedClusters+1 || !ended.Has(known.UID) ||
			!ended.Has(types.UID(fmt.Sprintf("c-%d", 3*maxDeletedClusters-1))) {
			t.Errorf("%d are %s, the known one among them: %t", len(ended), what, ended.Has(known.UID))
		}
	}
}
