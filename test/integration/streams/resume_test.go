// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// resumer is a client that keeps a copy of a namespace through streams that are cut, and lists again only if it is told
// that its bookmark has expired.
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

// follow follows the topic until the stream ends, or for a while.
func (r *resumer) follow(tb testing.TB, wait time.Duration) {
	tb.Helper()
	c := r.replicas[r.random.IntN(len(r.replicas))]
	conn, refusal, err := c.WebSocket(tb.Context(), wire.Request{Path: r.base + watchPath, Bearer: r.AccessToken})
	if err != nil || refusal != nil {
		return // the replica is gone, or does not reach the API server
	}
	defer func() { _ = conn.Close() }()
	message := fields{"action": "subscribe", "topics": []string{r.topic}, "initial": r.bookmark == ""}
	if r.bookmark == "" {
		clear(r.copy)
	} else {
		message["bookmarks"] = fields{r.topic: r.bookmark}
	}
	w := &watcher{socket: newSocket(conn)}
	w.send(tb, message)
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

// apply applies an event. It is false if the stream is of no use any more.
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

// churn changes the objects of a namespace until the context ends.
func churn(ctx context.Context, ns string, random *rand.Rand) {
	for ctx.Err() == nil {
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("o", random.IntN(40))}}
		switch random.IntN(3) {
		case 0:
			_ = env.Client.Create(ctx, o) // it may be there
		case 1:
			_ = env.Client.Delete(ctx, o) // it may not be there
		default:
			patch := fmt.Appendf(nil, `{"data":{"value":"%d"}}`, random.Int())
			_ = env.Client.Patch(ctx, o, client.RawPatch("application/merge-patch+json", patch)) // as above
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestResume verifies that clients that lose their connections, or whose replicas lose theirs or are killed, have the
// objects of the API server in the end. They miss no change unless they are told that their bookmark has expired.
func TestResume(t *testing.T) {
	ns := set().Namespace(t, "resume")
	p := bound(t, "readonly", ns)
	line, kubeconfig := newLine(t)
	behind, err := env.KubeVision.StartAPIServer(t.Context(), 0, "--kubeconfig="+kubeconfig,
		"--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = behind.Kill() })
	random := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano()))) //nolint:gosec // another one each time
	clients := make([]*resumer, 4)
	for i := range clients {
		clients[i] = &resumer{
			person: p, topic: host + ":configmaps:" + ns, copy: map[string]string{},
			replicas: []*wire.Client{p.client, at(t, behind.Endpoint())},
			random:   rand.New(rand.NewPCG(uint64(i), random.Uint64())), //nolint:gosec // as above
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() {
		churn(ctx, ns, rand.New(rand.NewPCG(1, random.Uint64()))) //nolint:gosec // as above
		done <- struct{}{}
	}()
	for _, c := range clients {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				c.follow(t, time.Duration(c.random.IntN(3000))*time.Millisecond)
				time.Sleep(time.Duration(c.random.IntN(1000)) * time.Millisecond)
			}
		}()
	}
	for i := range 5 {
		time.Sleep(2 * time.Second)
		line.set(true)
		time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
		line.set(false)
		if i == 2 {
			if err := behind.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := behind.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	for range len(clients) + 1 {
		<-done
	}
	want := map[string]string{}
	var all corev1.ConfigMapList
	if err := env.Client.List(t.Context(), &all, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		want[all.Items[i].Name] = all.Items[i].ResourceVersion
	}
	resumed := 0
	for i, c := range clients {
		fixture.Eventually(t, "wait for a client to have what the API server has", func(context.Context) error {
			c.follow(t, 300*time.Millisecond)
			if !maps.Equal(c.copy, want) {
				return fmt.Errorf("%v instead of %v", c.copy, want)
			}
			return nil
		})
		t.Logf("client %d has resumed %d times and listed again %d times", i, c.resumed, c.expired)
		resumed += c.resumed
	}
	if resumed == 0 {
		t.Error(errors.New("nothing was resumed"))
	}
}
