// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers adds all controllers to the manager, configures the cache of the manager, and registers the
// metrics of the controllers.
package controllers

import (
	"context"
	"fmt"
	"runtime"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/bootstrap"
	"github.com/kubevision-io/kubevision/pkg/controllers/cluster"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/impersonation"
	"github.com/kubevision-io/kubevision/pkg/controllers/lastadmin"
	"github.com/kubevision-io/kubevision/pkg/controllers/loginthrottle"
	"github.com/kubevision-io/kubevision/pkg/controllers/objectquota"
	"github.com/kubevision-io/kubevision/pkg/controllers/rolebinding"
	"github.com/kubevision-io/kubevision/pkg/controllers/servingcert"
	"github.com/kubevision-io/kubevision/pkg/controllers/session"
	"github.com/kubevision-io/kubevision/pkg/controllers/signingkey"
	"github.com/kubevision-io/kubevision/pkg/controllers/user"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// NewScheme returns a scheme with all kinds that the controllers read or write.
func NewScheme() (*kruntime.Scheme, error) {
	scheme := kruntime.NewScheme()
	for _, add := range []func(*kruntime.Scheme) error{
		kubevisionv1alpha1.AddToScheme, corev1.AddToScheme, rbacv1.AddToScheme, metav1.AddMetaToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building a scheme: %w", err)
		}
	}
	return scheme, nil
}

// CacheOptions returns options for the cache of the manager. The cache omits RBAC objects, Secrets and ServiceAccounts
// that do not belong to KubeVision.
func CacheOptions() cache.Options {
	managed := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{names.ManagedByLabel: names.ManagedBy})}
	own := cache.ByObject{Namespaces: map[string]cache.Config{names.Namespace: {}}}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&rbacv1.ClusterRole{}:        managed,
			&rbacv1.ClusterRoleBinding{}: managed,
			&rbacv1.Role{}:               {Label: managed.Label, Transform: apply.Trim()},
			&rbacv1.RoleBinding{}:        {Label: managed.Label, Transform: apply.ShareMemory()},
			&corev1.Namespace{}:          {Transform: apply.TrimMetadata()},
			&corev1.Secret{}:             own,
			&corev1.ServiceAccount{}:     own,
		},
	}
}

// newRoleCache adds a cache of the metadata of all ClusterRoles to the manager. The cache of the manager itself
// contains only the ClusterRoles with KubeVision's label.
func newRoleCache(mgr ctrl.Manager) (cache.Cache, error) {
	roles, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
		DefaultTransform: apply.TrimMetadata(),
	})
	if err != nil {
		return nil, fmt.Errorf("creating a cache of roles: %w", err)
	}
	if err := mgr.Add(roles); err != nil {
		return nil, fmt.Errorf("adding the cache of roles: %w", err)
	}
	return roles, nil
}

// newClusterCache returns a Registry for the connections to clusters. At first, the Registry contains only the host
// cluster. When the manager stops, all connections of the Registry are closed.
func newClusterCache(
	ctx context.Context, mgr ctrl.Manager, host kubernetes.Interface, roles cache.Cache, o Options,
) (*clustercache.Registry, error) {
	system, err := host.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the identity of the host: %w", err)
	}
	if err := apply.IndexBindings(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	writer := &apply.Writer{Client: mgr.GetClient(), Live: mgr.GetAPIReader()}
	named := impersonation.NewSource(mgr.GetClient())
	targets := clustercache.NewRegistry(&clustercache.Cluster{ //nolint:contextcheck // it reads a cache
		ID: string(system.UID), Writer: writer, Metadata: clustercache.Metadata{Namespaces: mgr.GetClient(),
			ClusterRoles: roles},
		Impersonator: &impersonation.AccountManager{Source: named, Writer: writer},
	}, mgr.GetScheme(), mgr.GetClient(), named, o.ClusterAddresses, clusters.NewPool(o.MemberCacheBytes))
	if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		targets.CloseAll()
		return nil
	})); err != nil {
		return nil, fmt.Errorf("adding the connections to clusters: %w", err)
	}
	return targets, nil
}

// Options configures the controllers.
type Options struct {
	// ServingCertExtraHosts contains additional DNS names and IP addresses for the serving certificate of
	// kubevision-apiserver.
	ServingCertExtraHosts []string
	// SigningKeyPeriod is the time after which a new key for signing access tokens is created.
	SigningKeyPeriod time.Duration
	// AdminKeepsPassword is true if the first user need not change the generated password.
	AdminKeepsPassword bool
	// HostCluster is the name of the KubeVisionCluster for the host cluster. KubeVision creates this KubeVisionCluster
	// when it creates the first user. If HostCluster is empty, KubeVision does not create it.
	HostCluster string
	// SessionLimits bounds the number of KubeVisionSessions.
	SessionLimits sessionindex.Limits
	// ObjectLimits bounds the number and size of KubeVisionUsers, KubeVisionClusters and KubeVisionRoleBindings.
	ObjectLimits objectquota.Limits
	// ClusterAddresses restricts the IP addresses of member clusters.
	ClusterAddresses addresspolicy.Policy
	// MemberCacheBytes bounds the memory of the objects that are cached from all member clusters, in bytes.
	MemberCacheBytes int64
	// ConcurrentClusterSyncs is the maximum number of KubeVisionClusters that are reconciled concurrently.
	ConcurrentClusterSyncs int
	// ConcurrentRoleBindingSyncs is the maximum number of KubeVisionRoleBindings that are reconciled concurrently.
	ConcurrentRoleBindingSyncs int
}

type reconciler interface {
	SetupWithManager(mgr ctrl.Manager) error
}

// SetupRemoval adds only the controllers that delete KubeVision's objects from clusters: those of KubeVisionClusters
// and KubeVisionRoleBindings.
func SetupRemoval(ctx context.Context, mgr ctrl.Manager, o Options) error {
	roles, err := newRoleCache(mgr)
	if err != nil {
		return err
	}
	return setupGrants(ctx, mgr, roles, o)
}

// setupGrants adds the controllers of clusters and role bindings.
func setupGrants(ctx context.Context, mgr ctrl.Manager, roles cache.Cache, o Options) error {
	host, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("creating a client for the host: %w", err)
	}
	targets, err := newClusterCache(ctx, mgr, host, roles, o)
	if err != nil {
		return err
	}
	c, recorder := mgr.GetClient(), mgr.GetEventRecorder(names.FieldManager)
	members := &cluster.Reconciler{
		Client: c, Recorder: recorder, Targets: targets, Host: host, HostURL: mgr.GetConfig().Host,
		Clock: clock.RealClock{}, Concurrency: o.ConcurrentClusterSyncs,
	}
	if err := members.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the cluster controller: %w", err)
	}
	grants := &rolebinding.Reconciler{
		Client: c, Recorder: recorder, Targets: targets, Roles: roles, Concurrency: o.ConcurrentRoleBindingSyncs,
	}
	if err := grants.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the role binding controller: %w", err)
	}
	return nil
}

// Setup adds all controllers to the manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := registerMetrics(mgr.GetClient()); err != nil {
		return err
	}
	hasher, err := password.NewHasher(ctx, runtime.GOMAXPROCS(0), nil)
	if err != nil {
		return err
	}
	c, live, recorder := mgr.GetClient(), mgr.GetAPIReader(), mgr.GetEventRecorder(names.FieldManager)
	users := &user.Reconciler{Client: c, Live: live, Recorder: recorder, Hasher: hasher, Clock: clock.RealClock{}}
	if err := users.SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("setting up the user controller: %w", err)
	}
	kept := &session.Reconciler{Client: c, Clock: clock.RealClock{}, Limits: o.SessionLimits,
		Audit: &audit.Log{Recorder: recorder}}
	if err := kept.SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("setting up the session controller: %w", err)
	}
	roles, err := newRoleCache(mgr)
	if err != nil {
		return err
	}
	if err := setupGrants(ctx, mgr, roles, o); err != nil {
		return err
	}
	now := clock.RealClock{}
	// The order is the same as in the table in docs/architecture.md.
	for _, controller := range []struct {
		name string
		reconciler
	}{
		{"login throttle", &loginthrottle.Reconciler{Client: c, Clock: now}},
		{"last admin", &lastadmin.Reconciler{Client: c}},
		{"object quota", &objectquota.Reconciler{Client: c, Clock: now, Limits: o.ObjectLimits}},
		{"signing key", &signingkey.Reconciler{Client: c, Live: live, Clock: now, Period: o.SigningKeyPeriod}},
		{"serving certificate", &servingcert.Reconciler{Client: c, Live: live, Clock: now,
			ExtraHosts: o.ServingCertExtraHosts}},
	} {
		if err := controller.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("setting up the %s controller: %w", controller.name, err)
		}
	}
	first := &bootstrap.Admin{Client: c, Live: live, KeepsPassword: o.AdminKeepsPassword, HostCluster: o.HostCluster}
	if err := mgr.Add(first); err != nil {
		return fmt.Errorf("adding the bootstrap of the first user: %w", err)
	}
	return nil
}
