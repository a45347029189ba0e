// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/impersonation"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// fillTimeout bounds the time to fill the caches of a cluster.
const fillTimeout = 15 * time.Second

var errNotFilled = errors.New("the RBAC objects and namespaces of the cluster could not be read in time")

// ErrLimitExceeded is returned for a cluster that is not connected because its objects need too much memory.
var ErrLimitExceeded = errors.New(
	"the RBAC objects and namespaces of the cluster exceed the cache limit of a cluster, " +
		"or those of all clusters the total limit: remove objects that are not KubeVision's and have the label " +
		names.ManagedByLabel + "=" + names.ManagedBy + ", or raise --member-cache-bytes")

// member is the connection to one member cluster. Its *Cluster is nil until the caches are filled.
type member struct {
	revision   clusters.Revision
	transports *clusters.Member
	// clientset authenticates with the credential of the kubeconfig.
	clientset kubernetes.Interface
	cluster   *Cluster
	// running is a context that ends when the connection is closed.
	running context.Context //nolint:containedctx // it ends with the connection, not with a request
	stop    context.CancelFunc
	opened  time.Time
	// startMu serializes the methods start and close, so that no cache starts after the connection was closed.
	startMu sync.Mutex
	// caches counts the running caches. The memory of the connection is released after all caches have ended.
	caches sync.WaitGroup
	// exceeded is true if the connection was closed because its cached objects have exceeded the memory limit.
	exceeded atomic.Bool
}

func newMember(
	revision clusters.Revision, k *kubeconfig.Kubeconfig, policy addresspolicy.Policy, limits clusters.Limits,
	exceeded func(*member),
) (*member, error) {
	m := &member{revision: revision, opened: time.Now()}
	way, err := clusters.NewMember(k, policy, limits, func() {
		m.exceeded.Store(true)
		exceeded(m)
	})
	if err != nil {
		return nil, fmt.Errorf("preparing a connection: %w", err)
	}
	kube, err := kubernetes.NewForConfigAndClient(way.Config, way.Registered)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	m.transports, m.clientset = way, kube
	m.running, m.stop = context.WithCancel(context.Background())
	return m, nil
}

// close closes the connection. It releases the memory in the background, when all caches have ended.
func (m *member) close() {
	m.startMu.Lock()
	m.stop()
	m.startMu.Unlock()
	m.transports.Close()
	go func() {
		m.caches.Wait()
		m.transports.Release()
	}()
}

// start starts a goroutine for each cache. It does nothing if the connection is closed.
func (m *member) start(caches ...func(context.Context) error) {
	m.startMu.Lock()
	defer m.startMu.Unlock()
	if m.running.Err() != nil {
		return
	}
	for _, start := range caches {
		m.caches.Go(func() { _ = start(m.running) }) // a cache ends without an error, with its context
	}
}

func (m *member) connect(
	ctx context.Context, scheme *runtime.Scheme, subjects *impersonation.Source, id string, notify func(client.Object),
) (*Cluster, error) {
	mapper := restMapper()
	own, err := cluster.New(m.transports.Config, func(o *cluster.Options) {
		o.Scheme, o.HTTPClient, o.Cache = scheme, m.transports.Registered, cacheOptions()
		o.MapperProvider = func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil }
	})
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	metadata, err := cache.New(m.transports.Config, cache.Options{
		Scheme: scheme, HTTPClient: m.transports.Registered, Mapper: mapper,
		DefaultTransform: cache.TransformStripManagedFields(),
	})
	if err != nil {
		return nil, fmt.Errorf("creating a cache: %w", err)
	}
	if err := apply.IndexBindings(ctx, own.GetFieldIndexer()); err != nil {
		return nil, err
	}
	// The calls of notify for the existing objects trigger the deletion of obsolete objects: a KubeVisionRoleBinding
	// may have been deleted while the cluster was not connected.
	if err := errors.Join(watchOwn(ctx, own.GetCache(), notify), watchMetadata(ctx, metadata, notify)); err != nil {
		return nil, err
	}
	m.start(own.Start, metadata.Start)
	filling, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	unlink := context.AfterFunc(m.running, cancel) //nolint:contextcheck // the member ends the call, too
	defer unlink()
	if !own.GetCache().WaitForCacheSync(filling) || !metadata.WaitForCacheSync(filling) {
		if m.exceeded.Load() {
			return nil, ErrLimitExceeded
		}
		return nil, errNotFilled
	}
	m.transports.MarkSynced()
	live := &pagedReader{response.NewReader(own.GetAPIReader())}
	writer := &apply.Writer{Client: response.NewClient(own.GetClient()), Live: live}
	return &Cluster{
		ID: id, Writer: writer, Metadata: Metadata{Namespaces: metadata, ClusterRoles: metadata},
		Impersonator: &impersonation.AccountManager{Source: subjects, Writer: writer, Member: true},
	}, nil
}

func cacheOptions() cache.Options {
	managed := labels.SelectorFromSet(labels.Set{names.ManagedByLabel: names.ManagedBy})
	return cache.Options{
		DefaultTransform:     cache.TransformStripManagedFields(),
		DefaultLabelSelector: managed,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ServiceAccount{}: {Namespaces: map[string]cache.Config{names.Namespace: {}}, Label: managed},
			&rbacv1.RoleBinding{}:    {Label: managed, Transform: apply.ShareMemory()},
		},
	}
}

// restMapper returns a RESTMapper with the kinds that KubeVision writes to clusters, so that no discovery is needed.
func restMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for gvk, scope := range map[schema.GroupVersionKind]meta.RESTScope{
		corev1.SchemeGroupVersion.WithKind("Namespace"):          meta.RESTScopeRoot,
		corev1.SchemeGroupVersion.WithKind("ServiceAccount"):     meta.RESTScopeNamespace,
		rbacv1.SchemeGroupVersion.WithKind("ClusterRole"):        meta.RESTScopeRoot,
		rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"): meta.RESTScopeRoot,
		rbacv1.SchemeGroupVersion.WithKind("Role"):               meta.RESTScopeNamespace,
		rbacv1.SchemeGroupVersion.WithKind("RoleBinding"):        meta.RESTScopeNamespace,
	} {
		mapper.Add(gvk, scope)
	}
	return mapper
}

func watchOwn(ctx context.Context, c cache.Cache, notify func(client.Object)) error {
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { notifyOf(o, notify) },
		UpdateFunc: func(was, is any) { notifyOf(was, notify); notifyOf(is, notify) },
		DeleteFunc: func(o any) { notifyOf(o, notify) },
	}
	for resource, kind := range map[string]client.Object{
		"serviceaccounts": &corev1.ServiceAccount{}, "clusterroles": &rbacv1.ClusterRole{},
		"clusterrolebindings": &rbacv1.ClusterRoleBinding{},
		"rolebindings":        &rbacv1.RoleBinding{},
	} {
		if err := watch(ctx, c, resource, kind, handler); err != nil {
			return err
		}
	}
	return nil
}

func watchMetadata(ctx context.Context, c cache.Cache, notify func(client.Object)) error {
	for _, gvk := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("Namespace"), rbacv1.SchemeGroupVersion.WithKind("ClusterRole"),
	} {
		o := &metav1.PartialObjectMetadata{}
		o.SetGroupVersionKind(gvk)
		err := watch(ctx, c, "the metadata of "+gvk.Kind, o, toolscache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(o any, first bool) {
				if !first { // for the initial list, Connect notifies the controllers
					notifyOf(o, notify)
				}
			},
			UpdateFunc: func(was, is any) {
				before, ok := was.(client.Object)
				after, ok2 := is.(client.Object)
				// Apart from labels and the deletion, the controllers use no metadata that can change.
				if ok && ok2 && (!equality.Semantic.DeepEqual(before.GetLabels(), after.GetLabels()) ||
					after.GetDeletionTimestamp() != nil) {
					notify(after)
				}
			},
			DeleteFunc: func(o any) { notifyOf(o, notify) },
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func watch(
	ctx context.Context, c cache.Cache, resource string, kind client.Object, handler toolscache.ResourceEventHandler,
) error {
	informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err == nil {
		_, err = informer.AddEventHandler(handler)
	}
	if err != nil {
		return fmt.Errorf("watching %s: %w", resource, err)
	}
	return nil
}

func notifyOf(o any, notify func(client.Object)) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	if found, ok := o.(client.Object); ok {
		notify(found)
	}
}
