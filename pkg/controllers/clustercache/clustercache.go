// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clustercache contains the connections of the controllers to the host cluster and the member clusters. Each
// connection has caches of the objects that the controllers read.
//
// The package also decides which KubeVisionClusters may be used. The identity of a Kubernetes cluster is the UID of its
// namespace kube-system. A hostile API server can respond with the identity of another cluster. Therefore, only the
// first KubeVisionCluster with an identity is used without further checks. It is called the holder of the identity. Any
// other KubeVisionCluster with this identity needs a proof that it leads to the same Kubernetes cluster. For the proof,
// a Secret is written through one of the two connections, and read through the other one. Without a proof, the
// KubeVisionCluster is in conflict with the holder, and is not used. The package notifies the controllers of new proofs
// and new connections.
//
// The package also uses these terms:
//
//   - A registration is a KubeVisionCluster. Several registrations may lead to the same Kubernetes cluster.
//   - A member is the connection to a cluster that is registered with a kubeconfig.
//   - A revision is one version of the kubeconfig of a registration.
//   - A retired registration is being deleted. Only its cleanup may use the connection.
//   - A released registration has completed its cleanup. It has no connection.
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

// Cluster is a Kubernetes cluster to which controllers write.
type Cluster struct {
	// ID is the UID of the namespace kube-system.
	ID string
	// Writer writes the objects that KubeVision creates on the cluster. Controllers also use Writer to read these
	// objects.
	Writer *apply.Writer
	// Impersonator maintains the impersonating ServiceAccount on the cluster.
	Impersonator *impersonation.AccountManager
	// Metadata reads the metadata of all Namespaces and ClusterRoles of the cluster, including those that KubeVision
	// has not created.
	Metadata Metadata
}

// Metadata contains caches of the metadata of all Namespaces and ClusterRoles of a cluster.
type Metadata struct {
	Namespaces, ClusterRoles client.Reader
}

// Registry contains the connections of the controllers to the host cluster and the member clusters. The methods Get and
// All never wait for a cluster.
type Registry struct {
	host   *Cluster
	scheme *runtime.Scheme
	policy addresspolicy.Policy
	// hostRegistration returns the UID of the KubeVisionCluster that represents the host cluster, or an empty UID.
	hostRegistration func() types.UID
	// registrations reads KubeVisionClusters from a cache.
	registrations client.Reader
	// subjects computes the users and groups that KubeVision may impersonate on member clusters.
	subjects *impersonation.Source
	// pool limits the memory that this process uses for cached objects of member clusters.
	pool *clusters.Pool

	mu sync.RWMutex
	// members maps the name of a KubeVisionCluster to its connection.
	members map[string]*member
	// retired contains the UIDs of KubeVisionClusters whose deletion has begun. Controllers no longer create objects on
	// them.
	retired    sets.Set[types.UID]
	identities identities
	// penalties contains the revisions of kubeconfigs whose connections have exceeded the memory limit. It maps each
	// revision to the time until which Open fails.
	penalties map[clusters.Revision]time.Time
	// subscribers contains functions that are called for each change on a member cluster. Each function enqueues the
	// requests of one controller.
	subscribers []func(client.Object)
}

// NewRegistry returns a Registry that contains only the host cluster.
func NewRegistry(
	host *Cluster, scheme *runtime.Scheme, reader client.Reader, subjects *impersonation.Source,
	policy addresspolicy.Policy,
	pool *clusters.Pool,
) *Registry {
	return &Registry{
		host: host, scheme: scheme, hostRegistration: hostRegistration(reader), subjects: subjects,
		policy: policy, registrations: reader, pool: pool,
		members: map[string]*member{}, retired: sets.New[types.UID](), identities: newIdentities(),
		penalties: map[clusters.Revision]time.Time{},
	}
}

// Host returns the host cluster.
func (r *Registry) Host() *Cluster { return r.host }

// Get returns the Kubernetes cluster that belongs to a KubeVisionCluster. If the cluster cannot be reached now, or must
// not be used, Get returns clusters.ErrNotConnected.
func (r *Registry) Get(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	return r.View().Get(c)
}

// All returns the host cluster and all member clusters that can be reached now. A cluster that is registered several
// times occurs once.
func (r *Registry) All() []*Cluster { return r.View().All() }

// member returns the connection to the cluster of a KubeVisionCluster, as a *member. It returns
// clusters.ErrNotConnected if there is no connection, or if the caches of the connection are not filled. The caller
// must hold the lock.
func (r *Registry) member(c *kubevisionv1alpha1.KubeVisionCluster) (*member, error) {
	m := r.members[c.Name]
	if m == nil || m.cluster == nil || m.revision.Cluster != c.UID {
		return nil, fmt.Errorf("%w: %s", clusters.ErrNotConnected, c.Name)
	}
	return m, nil
}

// Retire closes the connection of a KubeVisionCluster that is being deleted. From then on, Get and All omit the
// cluster, so that no controller creates an object on it after the cleanup. Open can still connect to it for the
// cleanup.
func (r *Registry) Retire(c *kubevisionv1alpha1.KubeVisionCluster) {
	r.mu.Lock()
	known := r.retired.Has(c.UID)
	r.remember(r.retired, c.UID)
	r.mu.Unlock()
	if !known {
		r.Close(c.Name)
	}
}

const maxDeletedClusters = 1024

// remember adds uid to the set. The caller must hold the lock.
func (r *Registry) remember(set sets.Set[types.UID], uid types.UID) {
	set.Insert(uid)
	if len(set) <= maxDeletedClusters {
		return
	}
	// Forget the KubeVisionClusters that no longer exist.
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := r.registrations.List(context.Background(), &all, client.UnsafeDisableDeepCopy); err != nil {
		return // a cache fails only after it was stopped
	}
	known := sets.New(uid)
	for i := range all.Items {
		known.Insert(all.Items[i].UID)
	}
	for old := range set {
		if !known.Has(old) {
			set.Delete(old)
		}
	}
}

// Retired returns the cluster of a KubeVisionCluster that is being deleted, so that KubeVision's objects on the cluster
// can be deleted. It returns clusters.ErrNotConnected if there is no connection.
func (r *Registry) Retired(c *kubevisionv1alpha1.KubeVisionCluster) (*Cluster, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, err := r.member(c)
	if err != nil {
		return nil, err
	}
	return m.cluster, nil
}

// Revision returns the revision of the kubeconfig with which the KubeVisionCluster of the given name is connected now.
// It returns an empty Revision if there is no connection.
func (r *Registry) Revision(name string) clusters.Revision {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if m := r.members[name]; m != nil {
		return m.revision
	}
	return clusters.Revision{}
}

// Open returns a client that authenticates with the credential of the kubeconfig. If the revision of the kubeconfig is
// unchanged, Open uses the existing connection. If the revision has changed, Open replaces the connection. Open sends
// no request to the cluster. It returns ErrLimitExceeded if the cluster has recently exceeded its memory limit.
func (r *Registry) Open(
	c *kubevisionv1alpha1.KubeVisionCluster, revision clusters.Revision, k *kubeconfig.Kubeconfig,
) (kubernetes.Interface, error) {
	name := c.Name
	r.mu.RLock()
	m := r.members[name]
	r.mu.RUnlock()
	if m != nil && m.revision == revision {
		return m.clientset, nil
	}
	r.Close(name)
	if r.isPenalized(revision) {
		return nil, ErrLimitExceeded
	}
	limits := clusters.ControllerLimits(r.pool, c.CreationTimestamp.Time)
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
	return m.clientset, nil
}

// Connect waits until the caches of a cluster are filled, and notifies the subscribers. Open must have been called for
// the KubeVisionCluster with this name. The id is the UID of the namespace kube-system of the cluster, and must be
// confirmed (see Confirm). Connect does nothing if the caches are filled already.
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
	made, err := m.connect(ctx, r.scheme, r.subjects, id, r.notify)
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

// Close closes the connection of the KubeVisionCluster with the given name, and ends its watches and requests.
func (r *Registry) Close(name string) {
	r.mu.RLock()
	m := r.members[name]
	r.mu.RUnlock()
	if m != nil {
		r.close(name, m)
	}
}

// close closes the connection m. It does nothing if another connection has replaced m.
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

// CloseAll closes all connections.
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

// Source returns a source that enqueues the requests of toRequests for events on member clusters. toRequests gets the
// changed object, or nil if the access to a cluster has changed.
func (r *Registry) Source(toRequests func(context.Context, client.Object) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		// o is one of KubeVision's objects, the metadata of a Namespace or ClusterRole, or a KubeVisionCluster with
		// only a name that must be reconciled.
		r.subscribers = append(r.subscribers, func(o client.Object) {
			for _, request := range toRequests(ctx, o) {
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
