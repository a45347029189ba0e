// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

func register(
	tb testing.TB,
	config *rest.Config,
	mode kubevisionv1alpha1.ReadCacheMode,
) *kubevisionv1alpha1.KubeVisionCluster {
	tb.Helper()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	name := fixture.Name("member")
	set().Create(tb, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fixture.SystemNamespace,
			Name:      name,
		}, StringData: map[string]string{"kubeconfig": string(text)},
	})
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: name}, ReadCache: mode,
		},
	}
	if err := env.Client.Create(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
		defer cancel()
		if err := client.IgnoreNotFound(env.Client.Delete(ctx, c)); err != nil {
			tb.Error(err)
		}
		if err := localcluster.Poll(ctx, time.Minute, "wait for the end of the cluster",
			func(ctx context.Context) error {
				if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
					return client.IgnoreNotFound(err)
				}
				return errors.New("it is there still")
			}); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// remote is a registered cluster that KubeVision reaches through a proxy.
type remote struct {
	*localcluster.Cluster

	proxy   *environment.WatchProxy
	admin   client.Client
	cluster *kubevisionv1alpha1.KubeVisionCluster
}

// newRemote registers another cluster through a proxy. The kubeconfig has a token, because the proxy terminates TLS.
func newRemote(t *testing.T) *remote {
	t.Helper()
	r := &remote{}
	var err error
	if r.Cluster, err = env.StartCluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.admin, err = client.New(r.Config(), client.Options{}); err != nil {
		t.Fatal(err)
	}
	if r.proxy, err = environment.NewWatchProxy(r.Config()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.proxy.Close)
	const account = "registrar"
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: account}
	for _, object := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: account}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: account}, Subjects: []rbacv1.Subject{subject},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		},
	} {
		if err := r.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	config, err := r.ServiceAccountConfig(t.Context(), metav1.NamespaceDefault, account)
	if err != nil {
		t.Fatal(err)
	}
	r.cluster = register(t, r.proxy.Through(config), "")
	return r
}

func (r *remote) reader(t *testing.T, namespace string) person {
	t.Helper()
	p := newPerson(t, "remote")
	p.cluster = r.cluster.Name
	r.bind(t, p, namespace)
	return p
}

func (r *remote) bind(t *testing.T, p person, namespace string) *kubevisionv1alpha1.KubeVisionRoleBinding {
	t.Helper()
	return set().Bind(t, "remote", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(p.User), Cluster: r.cluster.Name,
		Namespaces: []string{namespace},
	})
}

func (r *remote) create(t *testing.T, namespace, name string) {
	t.Helper()
	if err := r.admin.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace,
		Name: name}}); err != nil {
		t.Fatal(err)
	}
}

// settle repeats a read until KubeVision has cached the access reviews for the user.
func (r *remote) settle(t *testing.T, p person, path string) wire.Envelope {
	t.Helper()
	var e wire.Envelope
	fixture.Eventually(t, "wait for verdicts that are kept", func(context.Context) error {
		e = p.cached(t, path)
		// KubeVision caches an access review only for a moment if the RBAC objects have just changed.
		time.Sleep(time.Second)
		e = p.cached(t, path)
		before := r.proxy.Reviews()
		if e = p.cached(t, path); r.proxy.Reviews() != before {
			return errors.New("a verdict was asked for twice")
		}
		return nil
	})
	return e
}

// load reads a path with several concurrent requests until stop is called. All responses must come from the cache.
func (p person) load(t *testing.T, path string) (stop func() (answers, stale int64)) {
	t.Helper()
	var readers sync.WaitGroup
	var answers, stale atomic.Int64
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				e := p.get(t, path)
				if e.Code != wire.OK || e.Meta.Source != fromCache {
					t.Errorf("code %d (%s) from %q, stale %t", e.Code, e.Message, e.Meta.Source, e.Meta.Stale)
					return
				}
				if (e.Meta.AsOf != "") != e.Meta.Stale {
					t.Errorf("meta %+v", e.Meta)
				}
				answers.Add(1)
				if e.Meta.Stale {
					stale.Add(1)
				}
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(done)
		readers.Wait()
	})
	t.Cleanup(end) // a reader must not outlive a test that has failed
	return func() (int64, int64) {
		end()
		return answers.Load(), stale.Load()
	}
}

// becomesStale waits until responses are stale. All responses must come from the cache.
func (p person) becomesStale(t *testing.T, path string) {
	t.Helper()
	fixture.Eventually(t, "wait for a stale answer", func(context.Context) error {
		e := p.get(t, path)
		if e.Code != wire.OK || e.Meta.Source != fromCache {
			t.Errorf("code %d (%s) from %q", e.Code, e.Message, e.Meta.Source)
		}
		if !e.Meta.Stale {
			return fmt.Errorf("meta %+v", e.Meta)
		}
		return nil
	})
}

// heals waits until responses are current and contain an object.
func (p person) heals(t *testing.T, path, name string) {
	t.Helper()
	fixture.Eventually(t, "wait for current answers", func(context.Context) error {
		e := p.get(t, path)
		if e.Code != wire.OK || e.Meta.Stale || e.Meta.Source != fromCache || !slices.Contains(names(t, e), name) {
			return fmt.Errorf("code %d, %+v", e.Code, e.Meta)
		}
		return nil
	})
}

// TestOutages verifies the read cache while the watch, the network or the API server of a cluster fails:
//   - Users who could read objects before the failure can still read the objects.
//   - The responses state that the objects are outdated, and how old the objects are.
//   - Soon after the failure, the responses contain all changes.
//   - The read cache lists the objects again only if the API server cannot continue the watch.
func TestOutages(t *testing.T) {
	r := newRemote(t)
	p, stranger := r.reader(t, "default"), r.reader(t, "default")
	path := in("default", "configmaps")
	before := r.settle(t, p, path)
	if before.Meta.Stale || before.Meta.AsOf != "" {
		t.Errorf("meta %+v", before.Meta)
	}
	lists := r.proxy.Lists("configmaps")
	if lists == 0 {
		t.Fatal("the proxy has seen no list")
	}

	t.Run("the watch is broken", func(t *testing.T) {
		stop := p.load(t, path)
		r.proxy.Break()
		p.becomesStale(t, path)
		stranger.get(t, path).Want(t, wire.OK) // reviews still get a response
		r.create(t, "default", "missed-by-the-watch")
		if e := p.get(t, path); !e.Meta.Stale || canonical(t, e.Data) != canonical(t, before.Data) {
			t.Errorf("meta %+v", e.Meta)
		}
		r.proxy.Mend()
		p.heals(t, path, "missed-by-the-watch")
		if answers, stale := stop(); stale == 0 || stale == answers {
			t.Errorf("%d of %d answers are stale", stale, answers)
		}
	})

	t.Run("the network is cut", func(t *testing.T) {
		late, left := r.reader(t, "default"), r.reader(t, "kube-public")
		leaving := r.bind(t, left, "default")
		before := r.settle(t, p, path)
		left.get(t, path).Want(t, wire.OK)
		stop := p.load(t, path)
		r.proxy.Cut()
		cut := time.Now()
		left.get(t, path).Want(t, wire.OK)
		set().Delete(t, leaving)
		fixture.Eventually(t, "wait for the end of a right", func(context.Context) error {
			if e := left.get(t, path); e.Code != wire.Unreachable {
				return fmt.Errorf("code %d, %+v", e.Code, e.Meta)
			}
			return nil
		})
		r.create(t, "default", "missed-by-the-network")
		p.becomesStale(t, path)
		for time.Since(cut) < 11*time.Second { // longer than the normal age of a verdict
			e := p.get(t, path).Want(t, wire.OK)
			asOf, err := time.Parse(time.RFC3339, e.Meta.AsOf)
			if !e.Meta.Stale || err != nil || asOf.After(cut.Add(time.Second)) ||
				canonical(t, e.Data) != canonical(t, before.Data) {
				t.Errorf("meta %+v, cut at %s", e.Meta, cut)
			}
			late.get(t, path).Want(t, wire.Unreachable) // the cache has no verdict about this user
			p.get(t, live(path)).Want(t, wire.Unreachable)
			time.Sleep(500 * time.Millisecond)
		}
		r.proxy.Mend()
		p.heals(t, path, "missed-by-the-network")
		if answers, stale := stop(); stale == 0 || answers == 0 {
			t.Errorf("%d of %d answers are stale", stale, answers)
		}
	})

	t.Run("the cluster does not respond", func(t *testing.T) {
		r.settle(t, p, path)
		r.proxy.Hang()
		hung := time.Now()
		p.becomesStale(t, path)
		for time.Since(hung) < 4*time.Second {
			begun := time.Now()
			e := p.get(t, path).Want(t, wire.OK)
			if took := time.Since(begun); !e.Meta.Stale || took > 3*time.Second {
				t.Errorf("meta %+v after %s", e.Meta, took)
			}
			time.Sleep(200 * time.Millisecond)
		}
		r.create(t, "default", "missed-by-the-hung-watch")
		r.proxy.Mend()
		p.heals(t, path, "missed-by-the-hung-watch")
	})
	if n := r.proxy.Lists("configmaps"); n != lists {
		t.Errorf("%d lists were needed after watches that could be continued", n-lists)
	}

	t.Run("the API server is gone", func(t *testing.T) {
		r.settle(t, p, path)
		if err := r.APIServer().Kill(); err != nil {
			t.Fatal(err)
		}
		stop := p.load(t, path)
		p.becomesStale(t, path)
		time.Sleep(time.Second)
		if _, stale := stop(); stale == 0 {
			t.Error("no answer is stale")
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := r.APIServer().Start(ctx); err != nil {
			t.Fatal(err)
		}
		fixture.Eventually(t, "write to the API server that is back", func(ctx context.Context) error {
			return r.admin.Create(
				ctx,
				&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "after"}},
			)
		})
		p.heals(t, path, "after")
		t.Logf("%d more lists of ConfigMaps", r.proxy.Lists("configmaps")-lists)
	})

	t.Run("the cache is disabled", func(t *testing.T) {
		disabled := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"readCache":"Disabled"}}`))
		if err := env.Client.Patch(t.Context(), r.cluster, disabled); err != nil {
			t.Fatal(err)
		}
		fixture.Eventually(t, "wait for live answers", func(context.Context) error {
			if e := p.get(t, path); e.Code != wire.OK || e.Meta.Source != fromAPIServer {
				return fmt.Errorf("code %d, %+v", e.Code, e.Meta)
			}
			return nil
		})
	})
}
