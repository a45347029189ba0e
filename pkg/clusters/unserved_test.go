// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// plainServer is a fake kube-apiserver that serves one kind in one API version. Like an old kube-apiserver, it has no
// aggregated discovery.
type plainServer struct {
	*httptest.Server

	version atomic.Pointer[string]
	// discoveries is the number of requests for the list of API groups.
	discoveries atomic.Int64
}

func newPlainServer(t *testing.T) *plainServer {
	t.Helper()
	s := &plainServer{}
	s.version.Store(new("v1"))
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *plainServer) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	version := *s.version.Load()
	gv := "example.com/" + version
	switch path := r.URL.Path; {
	case path == "/apis":
		s.discoveries.Add(1)
		_, _ = fmt.Fprintf(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"example.com",`+
			`"versions":[{"groupVersion":%q,"version":%q}],`+
			`"preferredVersion":{"groupVersion":%q,"version":%q}}]}`, gv, version, gv, version)
	case path == "/apis/"+gv:
		_, _ = fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":%q,"resources":[`+
			`{"name":"things","kind":"Thing","verbs":["get","list","patch"]},`+
			`{"name":"things/scale","kind":"Scale","verbs":["patch"]}]}`, gv)
	case strings.HasPrefix(path, "/apis/"+gv+"/things"):
		if strings.HasSuffix(path, "/none") || strings.HasSuffix(path, "/none/scale") ||
			strings.HasSuffix(path, "/others") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w,
				`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,`+
					`"details":{"name":"none"}}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"kind":"Thing","apiVersion":%q}`, gv)
	default:
		w.Header().Set("Content-Type", "text/plain")
		http.NotFound(w, r)
	}
}

func (s *plainServer) caller(t *testing.T) *Client {
	t.Helper()
	safe := &response.Transport{Next: s.Client().Transport}
	c, err := newConnection(&rest.Config{Host: s.URL, QPS: -1}, safe, nil, nil, budget.New(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	caller, err := newClient(c, "somebody", transport.ImpersonationConfig{UserName: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

// age makes the cached discovery of the client so old that the next lookup may repeat the discovery.
func (c *Client) age() {
	c.resources.mu.Lock()
	defer c.resources.mu.Unlock()
	c.resources.lastBegan = time.Now().Add(-maxRecentAge)
}

// TestAVersionThatIsGone verifies that a call uses another API version if the cluster no longer serves the known one.
// Creating or applying an object fails instead, because the body of the call contains the API version.
func TestAVersionThatIsGone(t *testing.T) {
	const merge, apply = "application/merge-patch+json", "application/apply-patch+yaml"
	for name, tc := range map[string]struct {
		call Call
		done bool
	}{
		"a list":     {Call{}, true},
		"an object":  {Call{Name: "one"}, true},
		"a deletion": {Call{Name: "one", Method: http.MethodDelete}, true},
		"a patch":    {Call{Name: "one", Method: http.MethodPatch, Body: []byte("{}"), ContentType: merge}, true},
		"an apply":   {Call{Name: "one", Method: http.MethodPatch, Body: []byte("{}"), ContentType: apply}, false},
		"a creation": {Call{Method: http.MethodPost, Body: []byte("{}")}, false},
		"a subresource": {
			Call{Name: "one", Subresource: "scale", Method: http.MethodPatch, Body: []byte("{}"), ContentType: merge},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPlainServer(t)
			c := s.caller(t)
			found, ok, err := c.Resource(t.Context(), "things", nil)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			s.version.Store(new("v2"))
			c.age()
			tc.call.Resource = found
			got, err := c.Do(t.Context(), tc.call)
			if tc.done != (err == nil) || (err != nil && !apierrors.IsNotFound(err)) {
				t.Errorf("it got %s (%v)", got.Body, err)
			}
			if found, _, err := c.Resource(t.Context(), "things", nil); err != nil || found.Version != "v2" {
				t.Errorf("afterwards it is %s (%v)", found.Version, err)
			}
			if tc.call.Method != "" || tc.call.Name != "" {
				return
			}
			stream, err := c.Stream(t.Context(), tc.call)
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			if text, err := io.ReadAll(stream); err != nil || !strings.Contains(string(text), "v2") {
				t.Errorf("the stream is %s (%v)", text, err)
			}
		})
	}
}

// TestAnObjectThatIsNotThere verifies that requests for a missing object cause no discovery. Repeated requests for a
// subresource of a missing object cause only one discovery.
func TestAnObjectThatIsNotThere(t *testing.T) {
	s := newPlainServer(t)
	c := s.caller(t)
	found, _, err := c.Resource(t.Context(), "things", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.age()
	before := s.discoveries.Load()
	for range 10 {
		if _, err := c.Do(t.Context(), Call{Resource: found, Name: "none"}); !apierrors.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
	}
	if n := s.discoveries.Load() - before; n != 0 {
		t.Errorf("the cluster was asked %d times", n)
	}
	for range 10 {
		_, err := c.Do(t.Context(), Call{Resource: found, Name: "none", Subresource: "scale"})
		if !apierrors.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
	}
	if n := s.discoveries.Load() - before; n != 1 {
		t.Errorf("the cluster was asked %d times, want 1", n)
	}
	_, err = c.Do(t.Context(), Call{Resource: found, Name: "one", Subresource: "others"})
	if err == nil || !strings.Contains(err.Error(), "no others of things") {
		t.Errorf("got %v", err)
	}
}

// TestUnexpectedResource verifies that Client.Resource repeats the discovery if its parameter isExpected rejects the
// cached resource. It repeats the discovery at most every two seconds.
func TestUnexpectedResource(t *testing.T) {
	s := newPlainServer(t)
	c := s.caller(t)
	isNew := func(r *Resource) bool { return r.Version == "v2" }
	find := func(want string) {
		t.Helper()
		if found, ok, err := c.Resource(t.Context(), "things", isNew); err != nil || !ok || found.Version != want {
			t.Errorf("it is %s, want %s (%v)", found.Version, want, err)
		}
	}
	find("v1")
	s.version.Store(new("v2"))
	for range 10 {
		find("v1")
	}
	if n := s.discoveries.Load(); n != 1 {
		t.Errorf("the cluster was asked %d times, want 1", n)
	}
	c.age()
	find("v2")
}
