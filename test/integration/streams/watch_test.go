// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type object = map[string]any

type event struct {
	Type      string `json:"type"`
	Topic     string `json:"topic"`
	ClusterID string `json:"clusterId"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Object    object `json:"object"`
	Bookmark  string `json:"bookmark"`
	Initial   bool   `json:"initial"`
	Partial   bool   `json:"partial"`
	Reason    string `json:"reason"`
	Code      int    `json:"code"`
	Message   string `json:"message"`
}

func (e event) String() string {
	return fmt.Sprintf("%s %s/%s %s%s", e.Type, e.Namespace, e.Name, e.Topic, e.Reason)
}

type watcher struct {
	*socket

	pending []event
}

func (p person) watch(tb testing.TB) *watcher {
	tb.Helper()
	return &watcher{socket: open(tb, p.client, wire.Request{Path: p.base + watchPath, Bearer: p.AccessToken})}
}

type fields = map[string]any

// subscribe subscribes to topics, and returns their first bookmarks.
func (w *watcher) subscribe(tb testing.TB, more fields, topics ...string) map[string]string {
	tb.Helper()
	message := fields{"action": "subscribe", "topics": topics}
	maps.Copy(message, more)
	w.send(tb, message)
	out := map[string]string{}
	for len(out) < len(topics) {
		e := w.next(tb)
		if e.Type == "ERROR" {
			tb.Fatalf("%s: %d %s", e.Topic, e.Code, e.Message)
		}
		if e.Type == "BOOKMARK" {
			out[e.Topic] = e.Bookmark
		}
	}
	return out
}

func (w *watcher) next(tb testing.TB) event {
	tb.Helper()
	e, ok := w.within(tb, 10*time.Second)
	if !ok {
		tb.Fatalf("nothing arrives (%v)", w.end)
	}
	return e
}

func (w *watcher) within(tb testing.TB, wait time.Duration) (event, bool) {
	tb.Helper()
	if len(w.pending) == 0 {
		select {
		case message := <-w.messages:
			for line := range bytes.SplitSeq(message, []byte{'\n'}) {
				var e event
				if err := json.Unmarshal(line, &e); err != nil {
					tb.Fatalf("%q: %v", line, err)
				}
				w.pending = append(w.pending, e)
			}
		case <-time.After(wait):
			return event{}, false
		case <-w.ended:
			return event{}, false
		}
	}
	e := w.pending[0]
	w.pending = w.pending[1:]
	return e, true
}

// until waits for an event about the named object. The test fails if an error arrives first.
func (w *watcher) until(tb testing.TB, kind, name string) event {
	tb.Helper()
	for {
		e := w.next(tb)
		if e.Type == "ERROR" {
			tb.Fatalf("%s: %s %s", e.Topic, e.Reason, e.Message)
		}
		if e.Name == name && e.Type == kind {
			return e
		}
	}
}

func (w *watcher) expectNoEvents(tb testing.TB, wait time.Duration, about string) {
	tb.Helper()
	for end := time.Now().Add(wait); ; {
		e, ok := w.within(tb, time.Until(end))
		if !ok {
			return
		}
		if strings.Contains(e.Name, about) || strings.Contains(e.Namespace, about) {
			tb.Fatalf("%s arrives", e)
		}
	}
}

// untilWithout waits for an event about the named object. The test fails if an event about the forbidden object arrives
// first.
func (w *watcher) untilWithout(tb testing.TB, kind, name, forbidden string) event {
	tb.Helper()
	for {
		e := w.next(tb)
		if e.Name == forbidden {
			tb.Fatalf("%+v arrives", e)
		}
		if e.Type == kind && e.Name == name {
			return e
		}
	}
}

func configMap(tb testing.TB, ns, name string, value string) *corev1.ConfigMap {
	tb.Helper()
	o := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{"app": "x"}},
		Data:       map[string]string{"value": value},
	}
	set().Create(tb, o)
	return o
}

func update(tb testing.TB, o *corev1.ConfigMap, value string) {
	tb.Helper()
	o.Data = map[string]string{"value": value}
	if err := env.Client.Update(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
}

// TestWatch verifies that a client gets all changes of the objects in its subscription, and no other events. An event
// contains the whole object, or only the metadata if the client asks for summaries.
func TestWatch(t *testing.T) {
	ns, other := set().Namespace(t, "watched"), set().Namespace(t, "other")
	p := bound(t, "readonly")
	whole, short, one := p.watch(t), p.watch(t), p.watch(t)
	whole.subscribe(t, nil, host+":configmaps")
	short.subscribe(t, fields{"summary": true}, host+":configmaps")
	one.subscribe(t, nil, host+":configmaps:"+other)
	o := configMap(t, ns, "first", "1")
	began := time.Now()
	e := whole.until(t, "ADDED", "first")
	if took := time.Since(began); took > promptly {
		t.Errorf("it took %s", took)
	}
	data, _ := e.Object["data"].(object)
	if e.ClusterID != host || e.Resource != "configmaps" || e.Namespace != ns || data["value"] != "1" ||
		e.Object["kind"] != "ConfigMap" {
		t.Errorf("the event is %+v", e)
	}
	e = short.until(t, "ADDED", "first")
	metadata, _ := e.Object["metadata"].(object)
	if e.Object["data"] != nil || metadata["name"] != "first" || metadata["resourceVersion"] != o.ResourceVersion {
		t.Errorf("the summary is %+v", e)
	}
	update(t, o, "2")
	whole.until(t, "MODIFIED", "first")
	short.until(t, "MODIFIED", "first")
	set().Delete(t, o)
	whole.until(t, "DELETED", "first")
	short.until(t, "DELETED", "first")
	configMap(t, other, "second", "1")
	if e := one.untilWithout(t, "ADDED", "second", "first"); e.Namespace != other {
		t.Errorf("the event is %+v", e)
	}
	one.expectNoEvents(t, 100*time.Millisecond, "first")
	whole.send(t, fields{"action": "unsubscribe", "topics": []string{host + ":configmaps"}})
	whole.isAlive(t)
	configMap(t, ns, "third", "1")
	short.until(t, "ADDED", "third")
	whole.expectNoEvents(t, 200*time.Millisecond, "third")
}

// TestWatchRefused verifies that the server rejects invalid subscriptions:
//   - The client gets an error if the user may not list the kind, or if the kind is unknown or never cached.
//   - The client can subscribe to another kind after such an error.
//   - The connection ends if a message is malformed or contains too many subscriptions.
func TestWatchRefused(t *testing.T) {
	ns := set().Namespace(t, "refused")
	p := bound(t, "readonly", ns)
	w := p.watch(t)
	for topic, reason := range map[string]string{
		host + ":secrets:" + ns: "forbidden", host + ":nodes": "forbidden", host + ":configmaps:default": "forbidden",
		"nowhere:pods": "forbidden", host + ":unicorns": "invalid", host + ":pods:Not Valid": "invalid",
	} {
		w.send(t, fields{"action": "subscribe", "topics": []string{topic}})
		if e := w.next(t); e.Type != "ERROR" || e.Topic != topic || e.Reason != reason {
			t.Errorf("%s: %+v", topic, e)
		}
	}
	admin := bound(t, "admin").watch(t)
	admin.send(t, fields{"action": "subscribe", "topics": []string{host + ":secrets"}})
	if e := admin.next(t); e.Type != "ERROR" || e.Reason != "not-cached" || e.Code != wire.Conflict {
		t.Errorf("Secrets: %+v", e)
	}
	w.subscribe(t, nil, host+":configmaps:"+ns)
	configMap(t, ns, "seen", "1")
	w.until(t, "ADDED", "seen")
	w.send(t, fields{"action": "subscribe", "topics": []string{"x"}})
	if status, reason := w.awaitEnd(t, promptly); status != websocket.ClosePolicyViolation || reason != "malformed" {
		t.Errorf("it ends with %d %s", status, reason)
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("%s:pods:n%d", host, i)
	}
	for _, action := range []string{"subscribe", "unsubscribe"} {
		w = p.watch(t)
		w.send(t, fields{"action": action, "topics": many})
		if _, reason := w.awaitEnd(t, promptly); reason != "malformed" {
			t.Errorf("%s: it ends with %s", action, reason)
		}
	}
}

// TestWatchScope verifies that a caller who may read only some namespaces gets changes and deletions only there.
func TestWatchScope(t *testing.T) {
	mine, others := set().Namespace(t, "mine"), set().Namespace(t, "others")
	p, admin := bound(t, "readonly", mine), bound(t, "readonly")
	w, all := p.watch(t), admin.watch(t)
	all.subscribe(t, nil, host+":configmaps")
	w.subscribe(t, fields{"initial": true}, host+":configmaps")
	hidden, visible := configMap(t, others, "hidden", "1"), configMap(t, mine, "visible", "1")
	w.untilWithout(t, "ADDED", "visible", "hidden")
	all.until(t, "ADDED", "hidden")
	update(t, hidden, "2")
	set().Delete(t, hidden)
	update(t, visible, "2")
	all.until(t, "DELETED", "hidden")
	w.untilWithout(t, "MODIFIED", "visible", "hidden")
	w.expectNoEvents(t, 200*time.Millisecond, "hidden")
}

// TestWatchLosesTheRight verifies what happens after a user loses the right to list the objects of a namespace:
//   - The subscription to the namespace ends with a reason within seconds.
//   - The client gets no more events about the namespace.
//   - The other subscriptions of the client continue.
func TestWatchLosesTheRight(t *testing.T) {
	first, second := set().Namespace(t, "first"), set().Namespace(t, "second")
	p := newPerson(t, "loser")
	grant := func(ns string) *kubevisionv1alpha1.KubeVisionRoleBinding {
		return set().Bind(t, "loser", fixture.Grant{
			Role: "readonly", Subjects: fixture.KubeVisionUsers(p.User), Cluster: host, Namespaces: []string{ns},
		})
	}
	lost := grant(first)
	grant(second)
	w := p.watch(t)
	both, one, other := host+":configmaps", host+":configmaps:"+first, host+":configmaps:"+second
	w.subscribe(t, nil, both, one, other)
	configMap(t, first, "before", "1")
	w.until(t, "ADDED", "before")
	set().Delete(t, lost)
	var gone time.Time
	fixture.Eventually(t, "wait for the RoleBinding to go", func(ctx context.Context) error {
		gone = time.Now()
		response, err := p.client.Do(ctx, wire.Request{
			Path:   p.base + "/clusters/" + host + "/namespaces/" + first + "/resources/configmaps?source=live",
			Bearer: p.AccessToken,
		})
		if err != nil {
			return err
		}
		e, err := response.Parse()
		if err == nil && e.Code == wire.OK {
			err = errors.New("it is allowed")
		}
		return err
	})
	for {
		e := w.next(t)
		if e.Type == "ERROR" {
			if e.Topic != one || e.Reason != "forbidden" || e.Code < 40300 || e.Code > 40302 {
				t.Errorf("the end is %+v", e)
			}
			break
		}
	}
	if took := time.Since(gone); took > promptly {
		t.Errorf("it took %s", took)
	}
	configMap(t, first, "after", "1")
	configMap(t, second, "seen", "1")
	w.until(t, "ADDED", "seen")
	w.expectNoEvents(t, 300*time.Millisecond, "after")
}

// TestWatchWithoutSubscription verifies which events a client receives if the client does not subscribe:
//   - The client receives events about the kinds of objects that the session of the client has listed.
//   - The client receives at most one event per second about each kind.
//   - The client receives no events about kinds that only other sessions have listed.
func TestWatchWithoutSubscription(t *testing.T) {
	ns := set().Namespace(t, "listed")
	p, q := bound(t, "readonly"), bound(t, "readonly")
	list := func(p person, kind string) {
		p.client.Call(t, wire.Request{
			Path: p.base + "/clusters/" + host + "/resources/" + kind + "?namespace=" + ns, Bearer: p.AccessToken,
		}).Want(t, wire.OK)
	}
	list(p, "configmaps") // before the stream is opened
	w, stranger := p.watch(t), q.watch(t)
	list(q, "services")
	o := configMap(t, ns, "listed", "0")
	if e := w.until(t, "ADDED", "listed"); e.ClusterID != host || e.Resource != "configmaps" {
		t.Errorf("the event is %+v", e)
	}
	n, end := 0, time.Now().Add(3200*time.Millisecond)
	for i := 0; time.Now().Before(end); i++ {
		update(t, o, strconv.Itoa(i))
		for {
			if _, ok := w.within(t, time.Millisecond); !ok {
				break
			}
			n++
		}
	}
	if n < 2 || n > 4 {
		t.Errorf("%d events in 3 seconds", n)
	}
	list(p, "serviceaccounts") // after the stream was opened
	set().Create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "late"}})
	w.until(t, "ADDED", "late")
	stranger.expectNoEvents(t, 100*time.Millisecond, ns)
}

// TestWatchInitial verifies that a topic first sends the existing objects, then a bookmark, and then the changes.
func TestWatchInitial(t *testing.T) {
	ns := set().Namespace(t, "initial")
	p := bound(t, "readonly")
	for i := range 300 {
		configMap(t, ns, fmt.Sprintf("o%03d", i), "1")
	}
	w := p.watch(t)
	w.send(t, fields{"action": "subscribe", "topics": []string{host + ":configmaps:" + ns}, "initial": true,
		"summary": true})
	seen := map[string]bool{}
	for {
		e := w.next(t)
		if e.Type == "BOOKMARK" {
			if !e.Initial {
				t.Errorf("the bookmark is %+v", e)
			}
			break
		}
		seen[e.Name] = true
	}
	delete(seen, "kube-root-ca.crt")
	if len(seen) != 300 {
		t.Errorf("%d objects", len(seen))
	}
}
