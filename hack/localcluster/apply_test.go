// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/transport"
)

const gadgets = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gadgets.example.test
spec:
  group: example.test
  scope: Cluster
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}}}
---
apiVersion: example.test/v1
kind: Gadget
metadata:
  name: first
spec:
  size: 3
`

func checkApply(t *testing.T, cluster *Cluster) {
	dir := t.TempDir()
	writeTestFile(t, filepath.Join(dir, "kustomization.yaml"), "resources: [gadgets.yaml]\n")
	writeTestFile(t, filepath.Join(dir, "gadgets.yaml"), gadgets)
	if err := cluster.Apply(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	size, err := cluster.Kubectl(t.Context(), "get", "gadget", "first", "-o", "jsonpath={.spec.size}")
	if err != nil || size != "3" {
		t.Errorf("size is %q (%v), want 3", size, err)
	}

	writeTestFile(t, filepath.Join(dir, "gadgets.yaml"), strings.Replace(gadgets, "size: 3", "size: large", 1))
	if err := cluster.Apply(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "spec.size") {
		t.Errorf("error of a wrong object is %v, want one that names spec.size", err)
	}
}

func writeTestFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// asUser returns a wrapper that sets the headers with which the aggregation layer names a user.
func asUser(name string) transport.WrapperFunc {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			request = request.Clone(request.Context())
			request.Header.Set("X-Remote-User", name)
			return next.RoundTrip(request)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
