// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type serverSent struct{ lines *bufio.Scanner }

func openEvents(tb testing.TB, d door, p person, query string) serverSent {
	tb.Helper()
	//nolint:bodyclose // Open closes it at the end of the test
	response := d.client.Open(tb, wire.Request{Path: d.base + "/watch/events?" + query, Token: p.AccessToken})
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		tb.Fatalf("the answer is %s", kind)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return serverSent{lines}
}

// next returns the type and the data of the next server-sent event. If the event reports a change of an object, the
// type is empty.
func (s serverSent) next(tb testing.TB) (kind string, data []byte) {
	tb.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		if text, ok := strings.CutPrefix(line, "event: "); ok {
			kind = text
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			return kind, []byte(text)
		}
	}
	tb.Fatalf("the events end: %v", s.lines.Err())
	return "", nil
}

func (s serverSent) change(tb testing.TB) event {
	tb.Helper()
	kind, data := s.next(tb)
	var e event
	if err := json.Unmarshal(data, &e); err != nil || kind != "" {
		tb.Fatalf("%s %s: %v", kind, data, err)
	}
	return e
}

// TestEvents verifies server-sent events on direct connections and through kube-apiserver:
//   - A client receives the changes of objects.
//   - A client can resume from a bookmark.
//   - The last event contains the reason for the end.
func TestEvents(t *testing.T) {
	ns := set().Namespace(t, "events")
	p := bound(t, "readonly", ns)
	topic := host + ":configmaps:" + ns
	var all []serverSent
	for name, d := range doors(t) {
		s := openEvents(t, d, p, "topics="+topic)
		place := s.change(t).Bookmark
		configMap(t, ns, "of-"+name, "1")
		for s.change(t).Name != "of-"+name {
			continue
		}
		resumed := openEvents(t, d, p, "summary=true&topics="+topic+"@"+place)
		for resumed.change(t).Name != "of-"+name {
			continue
		}
		all = append(all, s, resumed)
		invalid := wire.Request{Path: d.base + "/watch/events?topics=x", Token: p.AccessToken}
		d.client.Call(t, invalid).Want(t, wire.Invalid)
	}
	set().Delete(t, &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: sessionOf(t, p)}})
	for _, s := range all {
		for {
			kind, data := s.next(t)
			if kind != "end" {
				continue
			}
			if !strings.Contains(string(data), `"session-ended"`) {
				t.Errorf("it ends with %s", data)
			}
			break
		}
	}
}

// TestTokenInQuery verifies the use of an access token in the URL:
//   - The server accepts the token only if a flag allows access tokens in URLs.
//   - The token is valid only for the watch.
//   - The log of the server does not contain the token.
func TestTokenInQuery(t *testing.T) {
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0, "--watch-token-in-query", "-v=9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	p := newPerson(t, "query")
	lenient := at(t, replica.Endpoint())
	query := "?token=" + p.AccessToken
	refused(t, p.client, wire.Request{Path: p.base + watchPath + query}).Want(t, wire.Unauthenticated)
	open(t, lenient, wire.Request{Path: p.base + watchPath + query}).isAlive(t)
	open(t, lenient, wire.Request{Path: wire.GroupPath + watchPath + query}).isAlive(t)
	refused(t, lenient, wire.Request{Path: p.base + watchPath + "?token=x"}).Want(t, wire.Unauthenticated)
	foreign := http.Header{"Origin": {"https://evil.example.com"}}
	refused(t, lenient, wire.Request{Path: p.base + watchPath + query, Header: foreign}).Want(t, wire.Forbidden)
	for _, path := range []string{"/users/me", "/watch/events", "/ws/watch/", "/ws/ticket", "/clusters"} {
		if e := lenient.Call(t, wire.Request{Path: p.base + path + query}); e.Code == wire.OK {
			t.Errorf("%s is answered", path)
		}
	}
	lenient.Call(t, wire.Request{Path: p.base + watchPath + query + "&token=x"}).Want(t, wire.Unauthenticated)
	checkLog(t, replica, p.AccessToken)
}

// TestTokenExpires verifies that a stream that was opened with an access token ends when the token expires, unless the
// client sends another token.
func TestTokenExpires(t *testing.T) {
	p := newPerson(t, "expires")
	token, lasts := fixture.Take(t, p.AccessToken), 3*time.Second
	short := p
	expires := time.Now().Add(lasts).Truncate(time.Second)
	key := set().SigningKey(t, token.Header["kid"])
	short.AccessToken = token.With(map[string]any{"exp": expires.Unix()}).Sign(t, key)
	ends, renewed := short.watch(t), short.watch(t)
	renewed.send(t, fields{"action": "token", "token": p.AccessToken})
	if _, reason := ends.awaitEnd(t, lasts+promptly); reason != "token-expired" {
		t.Errorf("it ends with %s", reason)
	}
	if early := time.Until(expires); early > 0 {
		t.Errorf("it ends %s too early", early)
	}
	renewed.isAlive(t)
}
