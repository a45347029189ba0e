// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clustercache connects the controllers to the clusters that they write to: the host, and every reachable
// member.
package clustercache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/impersonation"
)

// Cluster is a cluster that controllers write to.
type Cluster struct {
	// ID is the UID of the namespace kube-system.
	ID string
	// Writer writes KubeVision's objects to the cluster.
	Writer *apply.Writer
	// Impersonator maintains the impersonating account on the cluster.
	Impersonator *impersonation.AccountManager
	// Metadata reads the metadata of all namespaces and ClusterRoles. Writer's cache has only KubeVision's own objects.
	Metadata Metadata
}

// Metadata contains the caches of objects that KubeVision does not own.
type Metadata struct {
	Namespaces, ClusterRoles client.Reader
}

// Registry owns the controllers' connections. A lookup never blocks.
type Registry struct {
	host   *Cluster
	scheme *runtime.Scheme
	policy addresspolicy.Policy
	// hostRegistration returns the UID of the valid registration of the host.
	hostRegistration func() types.UID
	// registrations reads registrations from a cache.
	registrations client.Reader
	// named reads the names to impersonate, for all members.
	named *impersonation.Source
	// kept bounds the memory of the objects that are cached from members.
	kept *clusters.Pool

	mu          sync.RWMutex
	members     map[string]*member
	retired     sets.Set[types.UID]
	identities  identities
	penalties   map[clusters.Revision]time.Time
	subscribers []func(client.Object)
}

// NewRegistry returns a Registry with the host and no member.
func NewRegistry(
	host *Cluster, scheme *runtime.Scheme, reader client.Reader, named *impersonation.Source,
	policy addresspolicy.Policy,
	kept *clusters.Pool,
) *Registry {
	return &Registry{
		host: host, scheme: scheme, hostRegistration: hostRegistration(reader), named: named, policy: policy,
		registrations: reader, kept: kept,
		members: map[string]*member{}, retired: sets.New[types.UID](), identities: newIdentities(),
		penalties: map[clusters.Revision]time.Time{},
	}
}

// Host returns the cluster in which KubeVision runs.
func (r *Registry) Host() *Cluster { return r.host }

// Get returns the result of View.Get for a new view.
func (r *Registry) Get(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	return r.View().Get(c)
}

// All returns the result of View.All for a new view.
func (r *Registry) All() []*Cluster { return r.View().All() }

// member returns the connection to a cluster that can be reached. The caller holds the lock.
func (r *Registry) member(c *kubevisionv1alpha1.KubeVisionCluster) (*member, error) {
	m := r.members[c.Name]
	if m == nil || m.cluster == nil || m.revision.Cluster != c.UID {
		return nil, fmt.Errorf("%w: %s", clusters.ErrNotConnected, c.Name)
	}
	return m, nil
}

// Retire begins the removal of a registration: requests to the cluster end, and Get and All no longer return it.
// Otherwise a controller could create an object after the cleanup.
func (r *Registry) Retire(c *kubevisionv1alpha1.KubeVisionCluster) {
	r.mu.Lock()
	known := r.retired.Has(c.UID)
	r.remember(r.retired, c.UID)
	r.mu.Unlock()
	if !known {
		r.Close(c.Name)
	}
}

// maxEnded bounds the recorded registrations that have ended. If there are more, the registrations that the cache no
// longer contains are removed. UIDs are never reused.
const maxEnded = 1024

// remember adds a registration that has ended. The caller must hold the lock.
func (r *Registry) remember(ended sets.Set[types.UID], uid types.UID) {
	ended.Insert(uid)
	if len(ended) <= maxEnded {
		return
	}
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := r.registrations.List(context.Background(), &all, client.UnsafeDisableDeepCopy); err != nil {
		return // a cache fails only after it was stopped
	}
	known := sets.New(uid)
	for i := range all.Items {
		known.Insert(all.Items[i].UID)
	}
	for old := range ended {
		if !known.Has(old) {
			ended.Delete(old)
		}
	}
}

// Retired returns the cluster of a retired registration, for its cleanup.
func (r *Registry) Retired(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, err := r.member(c)
	if err != nil {
		return nil, err
	}
	return m.cluster, nil
}

// Revision returns the revision of the open connection to a cluster, or an empty one.
func (r *Registry) Revision(name string) clusters.Revision {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if m := r.members[name]; m != nil {
		return m.revision
	}
	return clusters.Revision{}
}

// Open returns a client that authenticates to the cluster with the kubeconfig. It reuses the open connection if it has
// the same revision; otherwise it closes that connection and creates a client without dialing. It returns
// ErrLimitExceeded for a penalized revision.
func (r *Registry) Open(
	c *kubevisionv1alpha1.KubeVisionCluster, revision clusters.Revision, k *kubeconfig.Kubeconfig,
) (kubernetes.Interface, error) {
	name := c.Name
	r.mu.RLock()
	m := r.members[name]
	r.mu.RUnlock()
	if m != nil && m.revision == revision {
		return m.kube, nil
	}
	r.Close(name)
	if r.isPenalized(revision) {
		return nil, ErrLimitExceeded
	}
	limits := clusters.ControllerLimits(r.kept, c.CreationTimestamp.Time)
	m, err := newMember(revision, k, r.policy, limits, func(m *member) {
		r.penalize(m)
		r.close(name, m)
		r.notify(&kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[name] = m
	return m.kube, nil
}

// Connect fills the caches of an open cluster, and notifies the subscribers. It does nothing if the caches are filled.
func (r *Registry) Connect(ctx context.Context, name, id string) error {
	r.mu.RLock()
	m := r.members[name]
	r.mu.RUnlock()
	if m == nil {
		return fmt.Errorf("%w: %s", clusters.ErrNotConnected, name)
	}
	if m.cluster != nil {
		return nil
	}
	made, err := m.connect(ctx, r.scheme, r.named, id, r.notify)
	if err != nil {
		r.Close(name)
		return err
	}
	r.mu.Lock()
	current := r.members[name] == m
	if current {
		m.cluster = made
	}
	r.mu.Unlock()
	if !current {
		return fmt.Errorf("%w: %s was closed", clusters.ErrNotConnected, name)
	}
	r.notify(nil)
	return nil
}

// Close closes the connection to a cluster, and ends its watches and requests.
func (r *Registry) Close(name string) {
	r.mu.RLock()
	m := r.members[name]
	r.mu.RUnlock()
	if m != nil {
		r.close(name, m)
	}
}

// close closes a connection, unless another one has replaced it.
func (r *Registry) close(name string, m *member) {
	r.mu.Lock()
	current := r.members[name] == m
	if current {
		delete(r.members, name)
	}
	r.mu.Unlock()
	if !current {
		return
	}
	connected := m.cluster != nil
	m.close()
	if connected {
		r.notify(nil)
	}
}

// CloseAll closes every connection.
func (r *Registry) CloseAll() {
	r.mu.RLock()
	open := make([]string, 0, len(r.members))
	for name := range r.members {
		open = append(open, name)
	}
	r.mu.RUnlock()
	for _, name := range open {
		r.Close(name)
	}
}

// Source enqueues requests for changes on members: changes of KubeVision's objects, of namespaces and of ClusterRoles.
// A nil object means that the set of reachable members has changed. A KubeVisionCluster means that its identity is
// disputed, or no longer disputed, or that it has exceeded its limit.
func (r *Registry) Source(requests func(context.Context, client.Object) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.subscribers = append(r.subscribers, func(o client.Object) {
			for _, request := range requests(ctx, o) {
				queue.Add(request)
			}
		})
		return nil
	})
}

func (r *Registry) notify(o client.Object) {
	r.mu.RLock()
	subscribers := slices.Clone(r.subscribers)
	r.mu.RUnlock()
	for _, tell := range subscribers {
		tell(o)
	}
}
