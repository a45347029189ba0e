// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/authorization/verdicts"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/template"
	"github.com/kubevision-io/kubevision/pkg/registry/watch"
	"github.com/kubevision-io/kubevision/pkg/streams"
	"github.com/kubevision-io/kubevision/pkg/tracing"
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

// component is the name of the program in Kubernetes events.
const component = "kubevision-apiserver"

const (
	// cacheSyncPatience bounds the time for which a readiness probe waits until the caches are synced.
	cacheSyncPatience = 100 * time.Millisecond
	// stopPatience bounds the time for which stop waits for goroutines.
	stopPatience = 5 * time.Second
)

// state contains the caches, connections and open streams of the process. The process has no persistent data of its
// own. Therefore, any replica can serve any request.
type state struct {
	config *rest.Config
	// credential records whether the host cluster accepts KubeVision's own credential.
	credential *hostCredential
	cache      cache.Cache
	// secrets caches the metadata of the Secrets in KubeVision's namespace. A change of the metadata means that a
	// kubeconfig may have changed.
	secrets cache.Cache
	client  client.Client
	keys    *token.KeySet
	bound   *clusters.BoundNames
	// sessions is an index of the cached sessions.
	sessions *sessionindex.Index
	// policy restricts the IP addresses to which connections may be opened.
	policy addresspolicy.Policy
	// memory bounds the memory that the responses of clusters use at the same time.
	memory *budget.Budget
	// work limits the processor time of each user.
	work *userlimit.Gates
	// connections contains the connections to clusters.
	connections *clusters.Connections
	// reads is the read cache, or nil if it is disabled.
	reads *readcache.Cache
	// verdicts caches the results of access reviews.
	verdicts *verdicts.Cache
	// streams contains the open streams.
	streams *streams.Manager
	// watches sends changes of objects to streams.
	watches *watch.Provider

	// recorder emits Kubernetes events about users.
	recorder    events.EventRecorder
	broadcaster events.EventBroadcaster

	// running counts the goroutines that were started by newState and by the method start.
	running sync.WaitGroup
	cancel  context.CancelFunc
}

func newState(ctx context.Context, config *rest.Config, c *ExtraConfig) (*state, error) {
	policy, work := c.ClusterAddresses, userlimit.NewWork()
	memory := budget.NewShared(budget.Options{Total: c.ResponseBytesInFlight, Work: work})
	config = rest.CopyConfig(config)
	// The wrapper that k8s.io/apiserver has set would send the trace context to the host cluster. It is replaced.
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return &tracing.RoundTripper{Next: next}
	}
	config.QPS = -1 // Client-side rate limits would delay the access reviews of requests.
	credential, err := newHostCredential(config)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubevisionv1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building a scheme: %w", err)
		}
	}
	live, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	templates, err := labels.Parse(names.TemplateLabel)
	if err != nil {
		return nil, fmt.Errorf("selecting templates: %w", err)
	}
	cached, err := cache.New(config, cache.Options{
		Scheme:           scheme,
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{names.Namespace: {
				FieldSelector: fields.OneTermEqualSelector("metadata.name", names.SigningKeysSecret),
			}}},
			&corev1.ConfigMap{}: {
				Namespaces: map[string]cache.Config{names.Namespace: {LabelSelector: templates}},
				Transform:  template.Trim,
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("creating a cache: %w", err)
	}
	secrets, err := cache.New(config, cache.Options{
		Scheme: scheme, DefaultTransform: cache.TransformStripManagedFields(),
		DefaultNamespaces: map[string]cache.Config{names.Namespace: {}},
	})
	if err != nil {
		return nil, fmt.Errorf("creating a cache of secrets' metadata: %w", err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client for events: %w", err)
	}
	s := &state{config: config, credential: credential, cache: cached, secrets: secrets, client: live,
		keys: token.NewKeySet(clock.RealClock{}), sessions: &sessionindex.Index{},
		policy: policy.WithHost(config.Host), memory: memory, work: work}
	if err := s.watch(ctx); err != nil {
		return nil, err
	}
	if err := forgetMetrics(ctx, cached, forgetAfter); err != nil {
		return nil, err
	}
	s.connections, err = clusters.NewConnections(ctx, clusters.Options{
		Config: config, Cache: cached, Secrets: secrets, Live: live, Bound: s.bound, Policy: s.policy, Memory: memory,
		TracedClusters: c.TracedClusters,
	})
	if err != nil {
		return nil, err
	}
	s.broadcaster = events.NewBroadcaster(&events.EventSinkImpl{Interface: kube.EventsV1()})
	s.recorder = s.broadcaster.NewRecorder(scheme, component)
	return s, nil
}

// watch adds event handlers to the caches. It must be called before the caches start.
func (s *state) watch(ctx context.Context) error {
	kinds := []client.Object{&kubevisionv1alpha1.KubeVisionUser{}, &kubevisionv1alpha1.KubeVisionCluster{},
		&kubevisionv1alpha1.KubeVisionRoleBinding{}, &kubevisionv1alpha1.KubeVisionSession{},
		&kubevisionv1alpha1.KubeVisionLoginThrottle{}, &corev1.ConfigMap{}}
	for _, kind := range kinds {
		if _, err := s.cache.GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watching %T: %w", kind, err)
		}
	}
	began, err := s.cache.GetInformer(ctx, &kubevisionv1alpha1.KubeVisionSession{}, cache.BlockUntilSynced(false))
	if err == nil {
		_, err = began.AddEventHandler(s.sessions.Handler())
	}
	if err != nil {
		return fmt.Errorf("counting sessions: %w", err)
	}
	secrets, err := s.cache.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching the signing keys: %w", err)
	}
	if _, err := secrets.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    s.loadKeys,
		UpdateFunc: func(_, updated any) { s.loadKeys(updated) },
	}); err != nil {
		return fmt.Errorf("watching the signing keys: %w", err)
	}
	s.bound, err = clusters.NewBoundNames(ctx, s.cache)
	return err
}

// loadKeys loads the signing keys from a Secret. If a key is invalid, it logs an error and keeps the current keys.
func (s *state) loadKeys(object any) {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return
	}
	if err := s.keys.Load(secret.Data); err != nil {
		klog.Background().Error(err, "Signing keys cannot be read", "secret", klog.KObj(secret))
		return
	}
	klog.Background().Info("Signing keys loaded", "secret", klog.KObj(secret), "keys", len(secret.Data))
}

// start starts the caches and other goroutines. They run until the method stop is called. The end of ctx does not stop
// them.
func (s *state) start(ctx context.Context) error {
	// Requests still arrive after the stop signal, and must not be authorized with outdated caches.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		s.stop()
		return fmt.Errorf("recording events: %w", err)
	}
	s.running.Go(func() { s.reads.Run(ctx) })
	s.running.Go(func() { s.credential.run(ctx) })
	s.running.Go(func() { s.watches.Run(ctx) })
	for _, c := range []cache.Cache{s.cache, s.secrets} {
		s.running.Go(func() {
			if err := c.Start(ctx); err != nil {
				klog.FromContext(ctx).Error(err, "A cache has stopped")
			}
		})
	}
	return nil
}

// stop ends all goroutines of s. It waits for their end, but not longer than stopPatience.
func (s *state) stop() {
	s.broadcaster.Shutdown()
	if s.cancel != nil {
		s.cancel()
	}
	s.connections.Close()
	if s.verdicts != nil {
		s.verdicts.Stop()
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.running.Wait()
	}()
	select {
	case <-stopped:
	case <-time.After(stopPatience):
		klog.Background().Info("The caches have not stopped in time", "timeout", stopPatience)
	}
}

// readyzChecks returns the checks of KubeVision for /readyz.
func (s *state) readyzChecks() []healthz.HealthChecker {
	return []healthz.HealthChecker{
		healthz.NamedCheck("kubevision-host-credential", s.credential.check),
		healthz.NamedCheck("kubevision-signing-keys", func(*http.Request) error {
			_, err := s.keys.Current()
			return err
		}),
		healthz.NamedCheck("kubevision-caches", func(r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), cacheSyncPatience)
			defer cancel()
			if !s.cache.WaitForCacheSync(ctx) || !s.secrets.WaitForCacheSync(ctx) {
				return errors.New("the caches are not synced yet")
			}
			return nil
		}),
	}
}
