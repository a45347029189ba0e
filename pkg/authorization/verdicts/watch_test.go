// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/clusters/pacing"
)

const bookmark = `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}` + "\n"

// follow watches Roles on a test server that sends the given events. It returns the watcher after the watch has ended.
func follow(t *testing.T, events string) (*watcher, error) {
	t.Helper()
	var versions []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		isList := r.URL.Query().Get("watch") == ""
		if asksList := strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList;"); asksList != isList {
			w.WriteHeader(http.StatusNotAcceptable) // as kube-apiserver responds
			return
		}
		if isList {
			_, _ = fmt.Fprint(w, `{"kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"5"},"items":[]}`)
			return
		}
		versions = append(versions, r.URL.Query().Get("resourceVersion"))
		_, _ = fmt.Fprint(w, events)
	}))
	defer server.Close()
	config := &rest.Config{Host: server.URL, QPS: -1}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{resource: "roles", scope: newScope(clock.RealClock{}), client: client,
		pace: pacing.New(workShare, workBurst)}
	err = w.follow(t.Context())
	if len(versions) != 1 || versions[0] != "5" {
		t.Errorf("watches began at %v", versions)
	}
	return w, err
}

// TestFollow verifies the effects of the events in a watch of Roles:
//   - An added or deleted Role invalidates the cached results of access reviews.
//   - A bookmark does not invalidate any result.
//   - A malformed or too large event ends the watch with an error.
func TestFollow(t *testing.T) {
	const added = `{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"6"}}}` + "\n"
	for name, test := range map[string]struct {
		events, version string
		changes         uint64
		why             string
	}{
		"bookmarks": {bookmark + bookmark, "7", 0, "ended early"},
		"changes":   {added + strings.ReplaceAll(added, "ADDED", "DELETED") + bookmark, "7", 2, "ended early"},
		"an error": {bookmark + `{"type":"ERROR","object":{"metadata":{"resourceVersion":"9"}}}` + "\n", "7", 0,
			"cannot be continued"},
		"text": {bookmark + "no JSON", "7", 0, errEvent.Error()},
		"too much": {`{"type":"ADDED","object":{"metadata":{"name":"` + strings.Repeat("x", maxEventBytes) + `"}}}`,
			"5", 0, errEvent.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := follow(t, test.events)
			if err == nil || !strings.Contains(err.Error(), test.why) || strings.Contains(err.Error(), "no JSON") {
				t.Errorf("the error is %v", err)
			}
			if w.version != test.version {
				t.Errorf("the watch continues at %s", w.version)
			}
			if got := w.scope.generation - 2; got != test.changes { // the connection begins one generation
				t.Errorf("%d changes were seen, want %d", got, test.changes)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestPaceOfWatches verifies that KubeVision limits its processor time for lists and watches of the RBAC objects of a
// cluster. At the limit, a list or watch waits before it reads further data.
func TestPaceOfWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const used = workBurst + workBurst/10
		pace := pacing.New(workShare, workBurst)
		client, err := rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
			Host: "http://cluster", QPS: -1,
			ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
		}, &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Accept-Encoding") != pacing.AcceptEncoding {
				t.Error("the transport decompresses the response")
			}
			pace.Count(workBurst)
			pace.Count(used - workBurst)
			text := `{"metadata":{"resourceVersion":"5"}}`
			if r.URL.Query().Has("watch") {
				text = bookmark
			}
			body := io.NopCloser(strings.NewReader(text))
			return &http.Response{StatusCode: http.StatusOK, Body: body, Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		w := &watcher{resource: "roles", scope: newScope(clock.RealClock{}), client: client, pace: pace}
		for name, read := range map[string]func(context.Context) error{"list": w.list, "watch": w.watch} {
			began, want := time.Now(), time.Duration(float64(used-workBurst)/workShare)
			err := read(t.Context())
			if took := time.Since(began); err != nil || took < want || took > 2*want {
				t.Errorf("a %s takes %s, want %s: %v", name, took, want, err)
			}
			time.Sleep(2 * time.Duration(float64(workBurst)/workShare))
		}
	})
}
