// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// TestDiscoveryIsBounded: by the size of a document, by the number of kinds, and by the memory that it takes.
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
		"small":          {kinds(10, "list"), 32 << 20, false},
		"many kinds":     {kinds(maxKinds, "x"), 1 << 30, true},
		"a large one":    {kinds(1, strings.Repeat("x", maxDiscoveryBytes)), 1 << 30, true},
		"many nothings":  {strings.Repeat("{},", maxDiscoveryBytes/4), 192 << 20, true},
		"many nulls":     {strings.Repeat("null,", maxDiscoveryBytes/6), 192 << 20, true},
		"many verbs":     {`{"name":"x","verbs":[""` + strings.Repeat(`,""`, maxDiscoveryBytes/4) + `]},`, 192 << 20, true},
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
					_, _ = io.WriteString(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[`+tc.resources+`]}`)
				}
			}))
			defer server.Close()
			memory := budget.New(tc.memory)
			c, err := newConnection(&rest.Config{Host: server.URL}, server.Client().Transport, nil, nil, memory)
			if err != nil {
				t.Fatal(err)
			}
			_, found, err := c.Resource(t.Context(), "pods")
			if found == tc.fails || (err != nil) != tc.fails {
				t.Errorf("found %t, %v", found, err)
			}
			if used := memory.Used(); used != 0 {
				t.Errorf("%d bytes are held afterwards", used)
			}
		})
	}
}

// TestDiscoveriesAreBounded: where all members take too much, that of one which takes much is asked for again.
func TestDiscoveriesAreBounded(t *testing.T) {
	kept := newDiscoveries(100)
	look := func(bytes int64) *resources {
		r := newResources(nil, nil)
		r.kept = kept
		r.set([]Resource{{}}, nil, time.Now())
		kept.keep(r, bytes)
		return r
	}
	knows := func(r *resources) bool {
		known, age := r.list()
		return len(known) > 0 && age < discoveryTTL
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

// TestElements: what decodes into a large struct costs as much, in whichever pieces it comes.
func TestElements(t *testing.T) {
	for text, want := range map[string]int64{
		`{"a":[{},{}]}`:             2 * costOfStruct,
		`{"a":[null, 1,[]]}`:        3 * costOfStruct,
		`{"a":["x","y,{"]}`:         2 * costOfString,
		`{"a":"[{,\\\"{,","b":[ ]}`: costOfField,
		`[[{"a":1,"b":2}]]`:         2*costOfStruct + costOfField,
	} {
		for _, size := range []int{1, len(text)} {
			e, got := elements{}, int64(0)
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
	e := elements{}
	if _, fits := e.weigh([]byte(strings.Repeat("[", maxDepth+1))); fits {
		t.Error("what is too deep fits")
	}
}
