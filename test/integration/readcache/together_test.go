// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// foreign is a part of the names and values of objects that only some users may read.
const foreign = "zanzibar"

type answer struct {
	Code       int
	Data       string
	Total      int64
	Partial    bool
	Namespaces []string
	tag        string
}

// learned returns the response in a form that can be compared. It omits the events of an overview, which change
// continuously.
func learned(tb testing.TB, e wire.Envelope, tag string) answer {
	tb.Helper()
	out := answer{
		Code:       e.Code,
		Data:       string(e.Data),
		Total:      -1,
		Partial:    e.Meta.Partial,
		Namespaces: e.Meta.Namespaces,
		tag:        tag,
	}
	if e.Meta.Total != nil {
		out.Total = *e.Meta.Total
	}
	var fields map[string]any
	if json.Unmarshal(e.Data, &fields) == nil && fields["recentEvents"] != nil {
		delete(fields, "recentEvents")
		text, err := json.Marshal(fields)
		if err != nil {
			tb.Fatal(err)
		}
		out.Data = string(text)
	}
	if e.Code == wire.OK {
		out.Data = canonical(tb, json.RawMessage(out.Data))
	}
	return out
}

func (a answer) same(b answer) bool {
	a.tag, b.tag = "", ""
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// reads sends a request in one of several ways: plain, compressed, or in pages.
func (p person) reads(tb testing.TB, path string, way int) answer {
	tb.Helper()
	r := p.request(path)
	switch way % 3 {
	case 1:
		r.Header = http.Header{"Accept-Encoding": {"gzip"}}
	case 2:
		list := strings.HasPrefix(path, "/resources/") && strings.Count(path, "/") == 2 //nolint:mnd // no name
		if list && !strings.Contains(path, "limit=") {
			return p.readsPages(tb, path)
		}
	}
	response := p.client.Send(tb, r)
	if response.Header.Get("Content-Encoding") == "gzip" {
		reader, err := gzip.NewReader(bytes.NewReader(response.Body))
		if err != nil {
			tb.Fatal(err)
		}
		if response.Body, err = io.ReadAll(reader); err != nil {
			tb.Fatal(err)
		}
	}
	return learned(tb, response.Envelope(tb), response.Header.Get("ETag"))
}

func (p person) readsPages(tb testing.TB, path string) answer {
	tb.Helper()
	if strings.Contains(path, "?") {
		path += "&limit=3"
	} else {
		path += "?limit=3"
	}
	var out answer
	all := []json.RawMessage{}
	for next := ""; ; {
		e := p.get(tb, path+next)
		page := learned(tb, e, "")
		if next == "" {
			out = page
		}
		if e.Code != wire.OK {
			return page
		}
		var items []json.RawMessage
		e.Into(tb, &items)
		if all = append(all, items...); e.Meta.Continue == "" {
			break
		}
		next = "&continue=" + e.Meta.Continue
	}
	text, err := json.Marshal(all)
	if err != nil {
		tb.Fatal(err)
	}
	out.Data = canonical(tb, text)
	return out
}

func fill(t *testing.T, namespace, label, name string) {
	t.Helper()
	for n := range 7 {
		configMap(t, namespace, fmt.Sprintf("%s-%d", name, n), map[string]string{"together": label}, name)
	}
	set().Pod(t, namespace, name+"-pod")
	set().Create(t, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-quota"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"services": resource.MustParse("77")}},
	})
}

// TestReadersTogether verifies the responses to concurrent requests of users with different rights, while role bindings
// are created and deleted:
//   - Each response equals the response of a replica without a cache.
//   - No response contains objects or counts that only other users may read.
func TestReadersTogether(t *testing.T) {
	own, other := set().Namespace(t, "together"), set().Namespace(t, "together-"+foreign)
	fill(t, own, own, "own")
	fill(t, other, own, foreign)
	admin, viewer := bound(t, "readonly"), bound(t, "readonly", own, "default")
	nobody, passer := bound(t, "readonly", "default"), bound(t, "readonly", "default")
	onlooker := bound(t, "readonly", "default") // this user may get the namespace of the others, but no object in it
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("onlooker")},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
		},
	}
	set().Create(t, role)
	set().Bind(t, "onlooker", fixture.Grant{
		Role: role.Name, Subjects: fixture.KubeVisionUsers(onlooker.User), Cluster: host, Namespaces: []string{other},
	})
	selector := "labelSelector=together%3D" + own
	paths := []string{
		"/resources/configmaps?" + selector, "/resources/configmaps?q=own-&sortBy=data.value",
		"/resources/configmaps?" + selector + "&q=" + foreign,
		"/resources/pods?fieldSelector=metadata.namespace%3D" + other, "/resources/namespaces?q=together",
		"/resources/namespaces/" + other,
		in(
			own,
			"configmaps",
		), in(own, "configmaps", "own-1"), in(other, "configmaps"), in(other, "configmaps", foreign+"-1"),
		"/search?q=" + foreign + "&types=configmaps,pods,namespaces", "/search?q=own-&types=configmaps,pods",
		"/quota-summary?namespace=" + other, "/quota-summary", "/namespaces/" + own + "/topology",
		"/namespaces/" + other + "/topology",
		"/overview",
	}
	without := withoutCache(t)
	// truth returns the response of the API server to each person before the bindings change.
	truth := func(p person, path string) answer {
		p.client = without
		return p.reads(t, path, 0)
	}
	type key struct{ who, path string }
	want := map[key]answer{}
	people := map[string]person{
		"admin":    admin,
		"viewer":   viewer,
		"nobody":   nobody,
		"passer":   passer,
		"onlooker": onlooker,
	}
	skip := func(who, path string) bool { // objects of other tests are deleted at the same time
		return who == "admin" && (path == "/overview" || path == "/quota-summary")
	}
	for who, p := range people {
		for _, path := range paths {
			if skip(who, path) {
				continue
			}
			fixture.Eventually(t, "wait for equal answers of "+path, func(context.Context) error {
				a, b := p.reads(t, path, 0), truth(p, path)
				if !a.same(b) {
					return fmt.Errorf("%s: %.1000s\nand live %.1000s", who, fmt.Sprint(a), fmt.Sprint(b))
				}
				want[key{who, path}] = a
				return nil
			})
		}
	}
	if a := want[key{"admin", paths[0]}]; a.Total != 14 || !strings.Contains(a.Data, foreign) {
		t.Fatalf("the administrator gets %+v", a)
	}
	check := func(who, path string, way int) {
		if who == "passer" {
			way %= 2 // the binding may be created between two pages
		}
		a, expected := people[who].reads(t, path, way), want[key{who, path}]
		switch {
		case skip(who, path):
		case who != "passer" && !a.same(expected):
			t.Errorf("%s gets from %s %.1000s\nwant %.1000s", who, path, fmt.Sprint(a), fmt.Sprint(expected))
		case who == "passer" && strings.HasPrefix(path, "/resources/") && !a.same(expected) &&
			!a.same(want[key{"viewer", path}]):
			t.Errorf("%s gets from %s %.1000s\nwhich is neither with nor without the binding", who, path, fmt.Sprint(a))
		}
		if who != "admin" && strings.Contains(strings.ReplaceAll(a.Data, other, ""), foreign) {
			t.Errorf("%s gets from %s %.1000s", who, path, a.Data)
		}
		for _, stranger := range []string{"admin", "viewer", "nobody", "onlooker"} { // a tag reveals nothing to others
			if tag := want[key{stranger, path}].tag; tag != "" && stranger != who && way%5 == 0 {
				r := people[who].request(path)
				r.Header = http.Header{"If-None-Match": {tag}}
				if e := people[who].client.Call(t, r); e.Meta.NotModified {
					t.Errorf("%s: the tag of %s counts for %s", path, stranger, who)
				}
			}
		}
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for n := range 16 {
		who := []string{"admin", "viewer", "nobody", "passer", "onlooker"}[n%5]
		readers.Go(func() {
			for i := n; ; i++ {
				select {
				case <-stop:
					return
				default:
					check(who, paths[i%len(paths)], i/3)
				}
			}
		})
	}
	for range 4 {
		binding := set().Bind(t, "passing", fixture.Grant{
			Role: "readonly", Subjects: fixture.KubeVisionUsers(passer.User), Cluster: host, Namespaces: []string{own},
		})
		time.Sleep(300 * time.Millisecond)
		set().Delete(t, binding)
		set().Gone(t, binding)
	}
	close(stop)
	readers.Wait()
	time.Sleep(time.Second)
	for _, path := range paths {
		if a := passer.reads(t, path, 0); !a.same(want[key{"passer", path}]) {
			t.Errorf("without the binding, the passer gets from %s %.1000s", path, fmt.Sprint(a))
		}
	}
}

func withoutCache(t *testing.T) *wire.Client {
	t.Helper()
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0, "--read-cache-bytes=0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	client, err := wire.New(replica.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	return client
}
