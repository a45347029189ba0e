// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

// TestMemoryOfTheServer verifies that large responses of a member do not exhaust the memory of kubevision-apiserver.
// Some responses need much more memory after decoding, for example one object with millions of empty elements.
func TestMemoryOfTheServer(t *testing.T) {
	if environment.DetectsRaces() {
		t.Skip("the race detector needs several times the memory; make test-limits runs this test without it")
	}
	const most = 640
	for name, tc := range map[string]struct {
		method     string
		path, kind string
		begin      string
		piece      string
		size       int
		atOnce     int
	}{
		"a list with a large object": {"GET", "/namespaces/default/resources/pods", podsPath,
			`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"`, "x", 7 << 20, 60},
		"an object": {"GET", "/namespaces/default/resources/pods/x", podsPath + "/x",
			`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"`, "x", 60 << 20, 8},
		"an object of many fields": {"GET", "/namespaces/default/resources/pods/x", podsPath + "/x",
			`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"},"a":[{}`, ",{}", 30 << 20, 8},
		"endless": {"GET", "/namespaces/default/resources/pods", podsPath,
			`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"x"}}`,
			`,{"metadata":{"name":"x"}}`, 512 << 20, 8},
		"a list of nothings": {"GET", "/overview", "/api/v1/pods",
			`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{}`, ",{}", 1 << 20, 1},
		"the namespaces of nothings": {"GET", "/users/me/access", "/api/v1/namespaces",
			`{"kind":"NamespaceList","apiVersion":"v1","metadata":{},"items":[{}`, ",{}", 60 << 20, 1},
		"an access review of nothings": {"GET", "/namespaces/default/resources/pods/refused", reviewPath,
			`{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","metadata":{},` +
				`"status":{"allowed":true},"metadata":{"managedFields":[{}`,
			",{}", 60 << 20, 1},
		"kinds of nothings": {"GET", "/namespaces/default/resources/nothings", "/api/v1",
			`{"kind":"APIResourceList","groupVersion":"v1","resources":[{}`, ",{}", 7 << 20, 1},
		"a comparison of nothings": {"POST", "/compare", podsPath + "/x",
			`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"},"a":[{}`, ",{}", 7 << 20, 1},
		"a token": {"POST", "/test", tokenPath,
			`{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"`, "x", 120 << 20, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandin(t)
			p, c := onStandin(t, s)
			s.answer(podsPath+"/refused",
				answering(http.StatusForbidden, "application/json", status(http.StatusForbidden, "Forbidden")))
			s.answer(tc.kind, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, tc.begin)
				piece := strings.Repeat(tc.piece, 64<<10/len(tc.piece))
				for sent := 0; sent < tc.size; sent += len(piece) {
					if _, err := io.WriteString(w, piece); err != nil {
						return
					}
				}
				if tc.atOnce == 1 {
					_, _ = io.WriteString(w, closing(tc.begin))
					return
				}
				if f, ok := w.(http.Flusher); ok {
					f.Flush()
				}
				select {
				case <-r.Context().Done():
				case <-time.After(5 * time.Second):
				}
			})
			pid := env.KubeVision.APIServer().PID()
			before := peak(t, pid)
			if tc.kind == "/api/v1" { // the server reads the discovery again later
				p.becomes(t, fixture.Patience, c.Name, tc.path, wire.Unreachable)
			}
			var mu sync.Mutex
			codes := map[int]int{}
			var all sync.WaitGroup
			for range tc.atOnce {
				all.Go(func() {
					response, err := p.client.Do(t.Context(), request(tc.method, tc.path, c.Name, p.token))
					code := -1
					if err == nil {
						if e, err := response.Parse(); err == nil {
							code = e.Code
						}
					}
					mu.Lock()
					codes[code]++
					mu.Unlock()
				})
			}
			all.Wait()
			got := peak(t, pid)
			t.Logf("%d MiB, %d before: codes %v", got, before, codes)
			if got > most {
				t.Errorf("the server held %d MiB, want at most %d", got, most)
			}
		})
	}
}

const reviewPath = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

func request(method, path, cluster, bearer string) wire.Request {
	r := wire.Request{Method: method, Path: wire.DirectPath + "/clusters/" + cluster + path, Bearer: bearer}
	switch path {
	case "/compare":
		side := fmt.Sprintf(`{"cluster":%q,"resource":"pods","namespace":"default","name":"x"}`, cluster)
		r.Path, r.Body = wire.DirectPath+path, `{"source":`+side+`,"target":`+side+`}`
	case "/users/me/access":
		r.Path = wire.DirectPath + path + "?cluster=" + cluster
	}
	return r
}

// closing returns the brackets that complete a JSON text. The text must not end within a string.
func closing(text string) string {
	var end []byte
	inString := false
	for _, c := range []byte(text) {
		switch {
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			end = append(end, c+2) // the closing bracket
		case c == '}' || c == ']':
			end = end[:len(end)-1]
		}
	}
	slices.Reverse(end)
	return string(end)
}
