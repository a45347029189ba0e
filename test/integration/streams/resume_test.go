// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// resumer is a client that keeps a copy of the ConfigMaps of a namespace. A stream sends the changes and bookmarks.
// After an interruption, the client opens another stream, which continues at the last bookmark. The client lists the
// ConfigMaps again only if the bookmark has expired.
type resumer struct {
	person

	topic    string
	replicas []*wire.Client
	random   *rand.Rand
	copy     map[string]string
	bookmark string
	resumed  int
	expired  int
}

// follow opens a stream, and applies the events of the stream to the copy of the objects. It returns when the stream
// ends or the given time has passed.
func (r *resumer) follow(tb testing.TB, wait time.Duration) {
	tb.Helper()
	c := r.replicas[r.random.IntN(len(r.replicas))]
	conn, refusal, err := c.WebSocket(tb.Context(), wire.Request{Path: r.base + watchPath, Bearer: r.AccessToken})
	if err != nil || refusal != nil {
		return // the replica has stopped, or does not reach the API server
	}
	defer func() { _ = conn.Close() }()
	message := fields{"action": "subscribe", "topics": []string{r.topic}, "initial": r.bookmark == ""}
	if r.bookmark == "" {
		clear(r.copy)
	} else {
		message["bookmarks"] = fields{r.topic: r.bookmark}
	}
	w := &watcher{socket: newSocket(conn)}
	if err := w.WriteJSON(message); err != nil {
		return // the replica was killed
	}
	for end := time.Now().Add(wait); time.Now().Before(end); {
		e, ok := w.within(tb, time.Until(end))
		if !ok {
			return
		}
		if !r.apply(tb, e, message["initial"] == true) {
			return
		}
	}
}

// apply applies an event to the copy of the objects. It returns false if another stream must be opened. initial is true
// if the stream began with a list of the objects.
func (r *resumer) apply(tb testing.TB, e event, initial bool) bool {
	tb.Helper()
	switch e.Type {
	case "ADDED", "MODIFIED":
		metadata, _ := e.Object["metadata"].(object)
		r.copy[e.Name], _ = metadata["resourceVersion"].(string)
	case "DELETED":
		delete(r.copy, e.Name)
	case "BOOKMARK":
		if r.bookmark != "" && !initial {
			r.resumed++
		}
		r.bookmark = e.Bookmark
	case "ERROR":
		if e.Reason == "expired" {
			r.expired++
			r.bookmark = ""
		}
		return false
	default:
		tb.Errorf("the event is %+v", e)
	}
	return true
}

func churn(ctx context.Context, ns string, random *rand.Rand) {
	for ctx.Err() == nil {
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("o", random.IntN(40))}}
		switch random.IntN(3) {
		case 0:
			_ = env.Client.Create(ctx, o) // the object may exist
		case 1:
			_ = env.Client.Delete(ctx, o) // the object may not exist
		default:
			patch := fmt.Appendf(nil, `{"data":{"value":"%d"}}`, random.Int())
			// The object may not exist.
			_ = env.Client.Patch(ctx, o, client.RawPatch("application/merge-patch+json", patch))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// resumeTime is the time for which TestResume repeats its checks. If resumeTime is 0, TestResume makes each check once.
// Otherwise, TestResume also kills and restarts kube-apiserver in each repetition.
var resumeTime = flag.Duration("duration", 0, "how long TestResume goes on, such as 10m; once if it is 0")

// resumption contains the clients of TestResume, and a replica of the server whose connections to kube-apiserver are
// interrupted.
type resumption struct {
	namespace string
	clients   []*resumer
	behind    *localcluster.APIServer
	proxy     *tcpProxy
	random    *rand.Rand
}

func newResumption(tb testing.TB) *resumption {
	tb.Helper()
	ns := set().Namespace(tb, "resume")
	p := bound(tb, "readonly", ns)
	proxy, kubeconfig := newTCPProxy(tb)
	behind, err := env.KubeVision.StartAPIServer(tb.Context(), 0, "--kubeconfig="+kubeconfig,
		"--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = behind.Kill() })
	random := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano()))) //nolint:gosec // the seed differs between runs
	out := &resumption{namespace: ns, behind: behind, proxy: proxy, random: random}
	for i := range 4 {
		out.clients = append(out.clients, &resumer{
			person: p, topic: host + ":configmaps:" + ns, copy: map[string]string{},
			replicas: []*wire.Client{p.client, at(tb, behind.Endpoint())},
			random:   rand.New(rand.NewPCG(uint64(i), random.Uint64())), //nolint:gosec // as above
		})
	}
	return out
}

// disturb interrupts the connections between one replica of the server and kube-apiserver while objects change. disturb
// also kills and restarts this replica. If killKubeAPIServer is true, disturb kills and restarts kube-apiserver, too.
func (r *resumption) disturb(tb testing.TB, killKubeAPIServer bool) {
	tb.Helper()
	ctx, stop := context.WithCancel(tb.Context())
	defer stop()
	var running sync.WaitGroup
	changes := rand.New(rand.NewPCG(1, r.random.Uint64())) //nolint:gosec // as above
	running.Go(func() { churn(ctx, r.namespace, changes) })
	for _, c := range r.clients {
		running.Go(func() {
			for ctx.Err() == nil {
				c.follow(tb, time.Duration(c.random.IntN(3000))*time.Millisecond)
				time.Sleep(time.Duration(c.random.IntN(1000)) * time.Millisecond)
			}
		})
	}
	for i := range 5 {
		time.Sleep(2 * time.Second)
		r.proxy.setCut(true)
		time.Sleep(time.Duration(r.random.IntN(2000)) * time.Millisecond)
		r.proxy.setCut(false)
		if i == 2 {
			restart(tb, r.behind.Program)
		}
		if i == 3 && killKubeAPIServer {
			restart(tb, env.Cluster.APIServer())
		}
	}
	stop()
	running.Wait()
}

func restart(tb testing.TB, p *localcluster.Program) {
	tb.Helper()
	if err := p.Kill(); err != nil {
		tb.Fatal(err)
	}
	if err := p.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// compare waits until each client has received the latest version of all ConfigMaps.
func (r *resumption) compare(tb testing.TB) {
	tb.Helper()
	want := map[string]string{}
	var all corev1.ConfigMapList
	fixture.Eventually(tb, "the objects", func(ctx context.Context) error {
		return env.Client.List(ctx, &all, client.InNamespace(r.namespace))
	})
	for i := range all.Items {
		want[all.Items[i].Name] = all.Items[i].ResourceVersion
	}
	for i, c := range r.clients {
		fixture.Eventually(tb, "wait for a client to have what the API server has", func(context.Context) error {
			c.follow(tb, 300*time.Millisecond)
			if !maps.Equal(c.copy, want) {
				return fmt.Errorf("%v instead of %v", c.copy, want)
			}
			return nil
		})
		tb.Logf("client %d has resumed %d times and listed again %d times", i, c.resumed, c.expired)
	}
}

// TestResume verifies that clients finally have the same objects as kube-apiserver, although a replica of the server is
// disconnected and killed. A client must not miss a change, unless the server reports that the bookmark of the client
// has expired.
func TestResume(t *testing.T) {
	r := newResumption(t)
	end := time.Now().Add(*resumeTime)
	for again := true; again && !t.Failed(); again = time.Now().Before(end) {
		r.disturb(t, *resumeTime > 0)
		r.compare(t)
	}
	resumed := 0
	for _, c := range r.clients {
		resumed += c.resumed
	}
	if resumed == 0 {
		t.Error("nothing was resumed")
	}
}
