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
