// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func nodesOf(t *testing.T, handler http.HandlerFunc) (kubevisionv1alpha1.NodeCount, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := rest.UnversionedRESTClientFor(&rest.Config{
		Host: server.URL, ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return countNodes(t.Context(), client)
}

func table(next string, statuses ...string) string {
	rows := make([]string, 0, len(statuses))
	for _, s := range statuses {
		rows = append(rows, fmt.Sprintf(`{"cells":["a",%q,"<none>","1d","v1.36.3"]}`, s))
	}
	return fmt.Sprintf(`{"kind":"Table","metadata":{"continue":%q},"columnDefinitions":[{"name":"Name"},`+
		`{"name":"Status"}],"rows":[%s]}`, next, strings.Join(rows, ","))
}

func TestCountNodes(t *testing.T) {
	count, err := nodesOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("continue") == "" {
			_, _ = io.WriteString(w, table("next", "Ready", "NotReady", "Ready,SchedulingDisabled"))
			return
		}
		_, _ = io.WriteString(w, table("", "Unknown", "Ready"))
	})
	if err != nil || count.Total != 5 || count.Ready != 3 {
		t.Errorf("counted %+v (%v), want 5, 3 of them ready", count, err)
	}
}

// TestCountNodesOfHostileServers verifies that countNodes returns an error for the responses of a hostile server. In
// each case, countNodes must allocate at most 128 MiB.
func TestCountNodesOfHostileServers(t *testing.T) {
	large := func(w io.Writer) {
		_, _ = io.WriteString(w, `{"kind":"Table","rows":[{"cells":["`)
		piece := strings.Repeat("x", 1<<20)
		for range 250 {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `"]}]}`)
	}
	asJSON := func(f func(w http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			f(w)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"large": asJSON(func(w http.ResponseWriter) { large(w) }),
		"compressed": asJSON(func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			large(z)
			_ = z.Close()
		}),
		"endless pages": asJSON(func(w http.ResponseWriter) { _, _ = io.WriteString(w, table("next", "Ready")) }),
		"no table": asJSON(func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"kind":"NodeList","items":[]}`)
		}),
		"no status": asJSON(func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"kind":"Table","rows":[`+strings.Repeat("{},", 1_000_000)+`{}]}`)
		}),
		"a list": asJSON(func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"kind":"NodeList","items":[`+strings.Repeat("{},", 99_999)+`{}]}`)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if count, err := nodesOf(t, handler); err == nil {
				t.Errorf("counted %+v", count)
			}
			runtime.ReadMemStats(&after)
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 128 {
				t.Errorf("%d MiB were allocated", allocated)
			}
		})
	}
}
