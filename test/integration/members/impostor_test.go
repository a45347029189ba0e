// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// impostor is a proxy that forwards requests to one cluster, but presents the identity of another cluster. It records
// the forwarded writes.
type impostor struct {
	*front

	token string

	mu     sync.Mutex
	writes []string
}

func newImpostor(t *testing.T, behind *plane, claims string) *impostor {
	t.Helper()
	i := &impostor{front: newFront(t, behind), token: behind.token(t)}
	own := identityOf(t, behind.admin)
	i.handle = func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			i.mu.Lock()
			i.writes = append(i.writes, r.Method+" "+r.URL.Path)
			i.mu.Unlock()
		}
		if r.URL.Path != systemPath {
			next.ServeHTTP(w, r)
			return
		}
		recorded := httptest.NewRecorder()
		next.ServeHTTP(recorded, r)
		maps.Copy(w.Header(), recorded.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(recorded.Code)
		_, _ = w.Write([]byte(strings.ReplaceAll(recorded.Body.String(), own, claims)))
	}
	return i
}

func (i *impostor) config() *rest.Config { return i.front.config(i.token) }

func (i *impostor) stop() {
	i.set(func(http.Handler, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

func (i *impostor) written() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.writes)
}
