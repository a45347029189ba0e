// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// TestDiscoveryIsBounded verifies that the discovery of a cluster's kinds fails in the following cases:
//   - A discovery document is too large.
//   - The cluster serves too many kinds.
//   - The decoded documents need too much memory.
func TestDiscoveryIsBounded(t *testing.T) {
	kinds := func(count int, verb string) string {
		var b strings.Builder
		for i := range count {
			fmt.Fprintf(&b, `{"name":"things%d","kind":"Thing","verbs":[%q]},`, i, verb)
		}
		return b.String() + `{"name":"pods","kind":"Pod","namespaced":true,"verbs":["list"]}`
	}
	for name, tc := range map[string]struct {
		resources string
		memory    int64
		fails     bool
	}{
		"small":         {kinds(10, "list"), 32 << 20, false},
		"many kinds":    {kinds(maxResources, "x"), 1 << 30, true},
		"a large one":   {kinds(1, strings.Repeat("x", maxDiscoveryBytes)), 1 << 30, true},
		"many nothings": {strings.Repeat("{},", maxDiscoveryBytes/4), 192 << 20, true},
		"many nulls":    {strings.Repeat("null,", maxDiscoveryBytes/6), 192 << 20, true},
		"many verbs": {`{"name":"x","verbs":[""` + strings.Repeat(`,""`, maxDiscoveryBytes/4) + `]},`, 192 << 20,
			true},
		"no memory left": {kinds(1000, "list"), 128 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch r.URL.Path {
				case "/api":
					_, _ = io.WriteString(w, `{"kind":"APIVersions","versions":["v1"]}`)
				case "/apis":
					_, _ = io.WriteString(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
				default:
					_, _ = io.WriteString(w,
						`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1",`+
							`"resources":[`+tc.resources+`]}`)
				}
			}))
			defer server.Close()
			memory := budget.New(tc.memory)
			c, err := newConnection(&rest.Config{Host: server.URL}, server.Client().Transport, nil, nil, memory)
			if err != nil {
				t.Fatal(err)
			}
			_, found, err := c.resources.find(t.Context(), "pods", nil)
			if found == tc.fails || (err != nil) != tc.fails {
				t.Errorf("found %t, %v", found, err)
			}
			if used := memory.Used(); used != 0 {
				t.Errorf("%d bytes are held afterwards", used)
			}
		})
	}
}

// TestDiscoveriesAreBounded verifies the limit for the total memory of the cached discovery results of all member
// clusters. If a new result causes the total to exceed the limit, the largest result of another cluster is dropped.
func TestDiscoveriesAreBounded(t *testing.T) {
	kept := newCatalogBudget(100)
	look := func(bytes int64) *resourceMapper {
		r := newResourceMapper(nil, nil, nil)
		r.catalogBudget = kept
		r.record(time.Now(), &catalog{}, nil)
		kept.keep(r, bytes)
		return r
	}
	knows := func(r *resourceMapper) bool {
		known, age := r.state()
		return known != nil && age < discoveryAge
	}
	small, large, last := look(10), look(60), look(50)
	if !knows(small) || knows(large) || !knows(last) || kept.sum != 60 {
		t.Errorf("known: %t, %t, %t; %d bytes are kept", knows(small), knows(large), knows(last), kept.sum)
	}
	small.close()
	last.close()
	if knows(last) || kept.sum != 0 || len(kept.held) != 0 {
		t.Errorf("%d bytes of %d members are kept of closed connections", kept.sum, len(kept.held))
	}
	if got := sizeOf([]Resource{{Kind: "Pod", Verbs: []string{"get", "list"}}}); got < 100 || got > 1000 {
		t.Errorf("one kind takes %d bytes", got)
	}
}

// TestElements verifies the memory estimate for a JSON document that arrives in parts. The estimate must not depend on
// the size of the parts.
func TestElements(t *testing.T) {
	for text, want := range map[string]int64{
		`{"a":[{},{}]}`:             2 * costOfStruct,
		`{"a":[null, 1,[]]}`:        3 * costOfStruct,
		`{"a":["x","y,{"]}`:         2 * costOfString,
		`{"a":"[{,\\\"{,","b":[ ]}`: costOfField,
		`[[{"a":1,"b":2}]]`:         2*costOfStruct + costOfField,
	} {
		for _, size := range []int{1, len(text)} {
			e, got := elementScanner{}, int64(0)
			for i := 0; i < len(text); i += size {
				cost, fits := e.weigh([]byte(text[i:min(i+size, len(text))]))
				if got += cost; !fits {
					t.Errorf("%s does not fit", text)
				}
			}
			if got != want {
				t.Errorf("%s costs %d, want %d", text, got, want)
			}
		}
	}
	e := elementScanner{}
	if _, fits := e.weigh([]byte(strings.Repeat("[", maxDepth+1))); fits {
		t.Error("what is too deep fits")
	}
}

// aggregatedServer responds with one document of aggregated discovery, and supports its entity tag.
type aggregatedServer struct {
	*httptest.Server

	mu       sync.Mutex
	document string
	requests map[int]int
}

func newAggregatedServer(t *testing.T, document string) *aggregatedServer {
	t.Helper()
	s := &aggregatedServer{document: document, requests: map[int]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *aggregatedServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	document := `{"items":[]}`
	if r.URL.Path == "/apis" {
		document = s.document
	}
	code, tag := http.StatusOK, fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(document)))
	if r.Header.Get("If-None-Match") == tag {
		code, document = http.StatusNotModified, ""
	}
	if !strings.Contains(r.Header.Get("Accept"), discovery.AcceptV2) {
		code = http.StatusNotAcceptable
	}
	s.requests[code]++
	w.Header().Set("Content-Type", discovery.AcceptV2)
	w.Header().Set("Etag", tag)
	w.WriteHeader(code)
	_, _ = io.WriteString(w, document)
}

func (s *aggregatedServer) set(document string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document = document
}

func (s *aggregatedServer) count(code int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[code]
}

func (s *aggregatedServer) connect(t *testing.T) *resourceMapper {
	t.Helper()
	transport := &response.Transport{Next: s.Client().Transport}
	c, err := newConnection(&rest.Config{Host: s.URL}, transport, nil, nil, budget.New(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return c.resources
}

func group(name, freshness, verb string, plurals ...string) string {
	var kinds []string
	for _, plural := range plurals {
		kinds = append(kinds, fmt.Sprintf(`{"resource":%q,"responseKind":{"group":%q,"version":"v1","kind":"Thing"},`+
			`"scope":"Namespaced","verbs":[%s]}`, plural, name, verb))
	}
	return fmt.Sprintf(`{"metadata":{"name":%q},"versions":[{"version":"v1","freshness":%q,"resources":[%s]}]}`,
		name, freshness, strings.Join(kinds, ","))
}

func document(groups ...string) string { return `{"items":[` + strings.Join(groups, ",") + `]}` }

// TestUnchangedDiscovery verifies that an unchanged document is not read again, and that a change is detected within
// two seconds.
func TestUnchangedDiscovery(t *testing.T) {
	s := newAggregatedServer(t, document(group("a.example.com", "Current", `"list"`, "things")))
	r := s.connect(t)
	find := func(name string) bool {
		t.Helper()
		_, ok, err := r.find(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	age := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lastBegan, r.lastDuration = time.Now().Add(-discoveryAge), 0
	}
	for range 10 {
		if !find("things") || find("others") {
			t.Fatal("it does not find what is there")
		}
	}
	if n := s.count(http.StatusOK); n != 2 {
		t.Errorf("%d documents were read, want 2", n)
	}
	age()
	if !find("things") || s.count(http.StatusOK) != 2 || s.count(http.StatusNotModified) < 2 {
		t.Errorf("%d documents were read, and %d are unchanged", s.count(http.StatusOK),
			s.count(http.StatusNotModified))
	}
	s.set(document(group("a.example.com", "Current", `"list"`, "others")))
	age()
	if find("things") || !find("others") {
		t.Error("it does not know what has changed")
	}
}

// TestSlowDiscovery verifies that the cached list of resources is checked less often after a slow discovery, but always
// after plainDiscoveryAge.
func TestSlowDiscovery(t *testing.T) {
	for name, test := range map[string]struct {
		duration, age time.Duration
		isChecked     bool
	}{
		"fast":               {time.Millisecond, discoveryAge, true},
		"slow":               {discoveryAge, discoveryAge, false},
		"slow, and old":      {discoveryAge, checkPauseFactor * discoveryAge, true},
		"very slow":          {time.Hour, plainDiscoveryAge - time.Second, false},
		"very slow, and old": {time.Hour, plainDiscoveryAge, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAggregatedServer(t, document(group("a.example.com", "Current", `"list"`, "things")))
			r := s.connect(t)
			r.checking = true // prevents checks in the background
			if _, err := r.current(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.mu.Lock()
			r.lastBegan, r.lastDuration = time.Now().Add(-test.age), test.duration
			r.mu.Unlock()
			if _, err := r.current(t.Context()); err != nil {
				t.Fatal(err)
			}
			if isChecked := s.count(http.StatusNotModified) > 0; isChecked != test.isChecked {
				t.Errorf("checked: %t, want %t", isChecked, test.isChecked)
			}
		})
	}
}

// TestResourcesWithoutVerbs verifies that a resource without verbs is never found by its plural name. If another API
// group has a resource with the same name and with verbs, this resource is found instead.
func TestResourcesWithoutVerbs(t *testing.T) {
	s := newAggregatedServer(t, document(
		group("a.example.com", "Current", "", "things", "more"), group("b.example.com", "Current", `"list"`, "things"),
	))
	r := s.connect(t)
	found, ok, err := r.find(t.Context(), "things", nil)
	if err != nil || !ok || found.Group != "b.example.com" {
		t.Errorf("it finds %v (%v)", found.GroupVersionResource, err)
	}
	if found, ok, err := r.find(t.Context(), "more", nil); err != nil || ok {
		t.Errorf("it finds %v (%v)", found.GroupVersionResource, err)
	}
}

// TestGroupsWithoutAnswer verifies that the known kinds of an API group are kept while the server of the group does not
// respond. Otherwise, the plural of a kind could resolve to a kind of another group.
func TestGroupsWithoutAnswer(t *testing.T) {
	const lost, other = "a.example.com", "b.example.com"
	current := document(group(lost, "Current", `"list"`, "things"), group(other, "Current", `"list"`, "things"))
	stale := document(group(lost, "Stale", `"list"`), group(other, "Current", `"list"`, "things"))
	s := newAggregatedServer(t, current)
	r := s.connect(t)
	for _, next := range []string{current, stale, stale} {
		s.set(next)
		if err := r.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if found, ok, err := r.find(t.Context(), "things", nil); err != nil || !ok || found.Group != lost {
			t.Errorf("it finds %v (%v)", found.GroupVersionResource, err)
		}
	}
	unknown := newAggregatedServer(t, stale).connect(t)
	for _, name := range []string{"things." + lost, "things.v1." + lost} {
		if _, _, err := unknown.find(t.Context(), name, nil); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("%s: %v, want that nobody knows", name, err)
		}
	}
	if _, ok, err := unknown.find(t.Context(), "pods", nil); err != nil || ok {
		t.Errorf("it finds pods: %t (%v)", ok, err)
	}
}

// TestDiscoveryNotFound verifies that discovery fails if a server responds to all requests with 404 Not Found.
func TestDiscoveryNotFound(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	transport := &response.Transport{Next: s.Client().Transport}
	c, err := newConnection(&rest.Config{Host: s.URL}, transport, nil, nil, budget.New(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := c.resources.find(t.Context(), "pods", nil); err == nil {
		t.Errorf("it finds pods: %t", ok)
	}
}
