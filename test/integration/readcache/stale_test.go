// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// line is a network in front of a cluster that can be cut.
type line struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	cut   bool
	ends  map[net.Conn]bool
	bytes int64
}

func newLine(tb testing.TB, target string) *line {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &line{listener: listener, target: target, ends: map[net.Conn]bool{}}
	tb.Cleanup(func() {
		_ = listener.Close()
		l.set(true)
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(conn)
		}
	}()
	return l
}

func (l *line) carry(from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.target)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	l.mu.Lock()
	if l.cut {
		l.mu.Unlock()
		return
	}
	l.ends[from], l.ends[to] = true, true
	l.mu.Unlock()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	n, _ := io.Copy(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += n
	delete(l.ends, from)
	delete(l.ends, to)
}

// set cuts the line, or mends it.
func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for conn := range l.ends {
			_ = conn.Close()
		}
	}
}

// register registers a cluster, and waits until it is ready.
func register(tb testing.TB, config *rest.Config, mode kubevisionv1alpha1.ReadCacheMode) *kubevisionv1alpha1.KubeVisionCluster {
	tb.Helper()
	text, err := localcluster.Kubeconfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	name := fixture.Name("member")
	set().Create(tb, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name}, StringData: map[string]string{"kubeconfig": string(text)},
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
		if err := localcluster.Poll(ctx, time.Minute, "wait for the end of the cluster", func(ctx context.Context) error {
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

// TestStale: while the cluster is out of reach, answers go on for those who had them, and say how old they are. What
// happened meanwhile is there soon after.
func TestStale(t *testing.T) {
	member, err := env.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(member.Config())
	address, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	wire1 := newLine(t, address.Host)
	config.Host = "https://" + wire1.listener.Addr().String()
	p, stranger := newPerson(t, "stale"), newPerson(t, "stranger")
	c := register(t, config, "")
	p.cluster, stranger.cluster = c.Name, c.Name
	for _, who := range []person{p, stranger} {
		set().Bind(t, "stale", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(who.User), Cluster: c.Name, Namespaces: []string{"default"}})
	}
	admin, err := client.New(member.Config(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := in("default", "configmaps")
	for begun := time.Now(); time.Since(begun) < 2*time.Second; { // verdicts are kept once the RBAC objects are watched
		p.cached(t, path)
		time.Sleep(100 * time.Millisecond)
	}
	before := p.cached(t, path)
	if before.Meta.Stale || before.Meta.AsOf != "" {
		t.Errorf("meta %+v", before.Meta)
	}
	wire1.set(true)
	cut := time.Now()
	missed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "missed"}}
	if err := admin.Create(t.Context(), missed); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "wait for a stale answer", func(ctx context.Context) error {
		e := p.get(t, path)
		if e.Code != wire.OK || e.Meta.Source != fromCache {
			t.Errorf("code %d (%s) from %q after %s", e.Code, e.Message, e.Meta.Source, time.Since(cut))
		}
		if !e.Meta.Stale {
			return fmt.Errorf("meta %+v", e.Meta)
		}
		return nil
	})
	for time.Since(cut) < 15*time.Second { // longer than a verdict is used otherwise
		e := p.get(t, path).Want(t, wire.OK)
		asOf, err := time.Parse(time.RFC3339, e.Meta.AsOf)
		if !e.Meta.Stale || err != nil || asOf.After(cut.Add(time.Second)) || canonical(t, e.Data) != canonical(t, before.Data) {
			t.Errorf("meta %+v, cut at %s", e.Meta, cut)
		}
		stranger.get(t, path).Want(t, wire.Unreachable) // nobody has asked about them before
		p.get(t, live(path)).Want(t, wire.Unreachable)
		time.Sleep(500 * time.Millisecond)
	}
	wire1.set(false)
	fixture.Eventually(t, "wait for what was missed", func(ctx context.Context) error {
		e := p.get(t, path)
		if e.Code != wire.OK || e.Meta.Stale || !slices.Contains(names(t, e), "missed") || e.Meta.Source != fromCache {
			return fmt.Errorf("code %d, %+v", e.Code, e.Meta)
		}
		return nil
	})
	// The owner of the registration may turn the cache off.
	disabled := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"readCache":"Disabled"}}`))
	if err := env.Client.Patch(t.Context(), c, disabled); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "wait for live answers", func(ctx context.Context) error {
		if e := p.get(t, path); e.Code != wire.OK || e.Meta.Source != fromAPIServer {
			return fmt.Errorf("code %d, %+v", e.Code, e.Meta)
		}
		return nil
	})
}
