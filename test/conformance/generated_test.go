// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// clientModule is the path of a Go module with a program that uses a generated client of the API.
const clientModule = "../../hack/tools/dashboardclient"

// TestGeneratedClient verifies that oapi-codegen can generate a client from the OpenAPI document. The client must be
// able to log in and list Pods, directly and through kube-apiserver.
func TestGeneratedClient(t *testing.T) {
	program := generate(t)
	s := target.set()
	s.HostCluster(t, target.Host)
	namespace, u := s.Namespace(t, "conformance-generated"), s.User(t, "conformance-generated")
	s.Pod(t, namespace, "one")
	s.Bind(t, "conformance-generated", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(u), Cluster: target.Host, Namespaces: []string{namespace},
	})
	for name, c := range map[string]*wire.Client{"direct": target.direct(t),
		"kube-apiserver": target.as(t, fixture.Name("conformance-kube-porter"))} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), program,
				"-server", c.Proxy(t), "-username", u.Name, "-cluster", target.Host, "-namespace", namespace)
			cmd.Env = append(os.Environ(), "PASSWORD="+u.Password)
			out, err := cmd.CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "one" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// generate generates a Go client from the OpenAPI document, and compiles a program with the client. It returns the path
// of the program.
func generate(t *testing.T) string {
	t.Helper()
	module, err := filepath.Abs(clientModule)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	_, text := document(t)
	// The build uses an overlay. The module does not change, so that the build cache remains valid for the next run.
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(module,
		"client.go"): path("client.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"document.json": text, "overlay.json": overlay} {
		if err := os.WriteFile(path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"tool", "oapi-codegen", "-generate", "types,client", "-package", "main", "-o", path("client.go"),
			path("document.json")},
		{"build", "-buildvcs=false", "-tags", "generated", "-overlay", path("overlay.json"), "-o",
			path("dashboardclient"), "."},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args[:2], " "), err, out)
		}
	}
	return path("dashboardclient")
}
