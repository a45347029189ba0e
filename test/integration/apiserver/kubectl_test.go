// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

func kubectl(t *testing.T, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := localcluster.WriteKubeconfig(env.Cluster.Config(), path); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--kubeconfig=" + path, "--cache-dir=" + t.TempDir()}, args...)
	cmd := exec.CommandContext(t.Context(), env.Cluster.KubectlPath(), args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

func TestKubectlDiscovers(t *testing.T) {
	for _, args := range [][]string{{"api-resources"}, {"api-resources", "--cached=false", "-o", "wide"},
		{"api-versions"}, {"get", "kubevision"}, {"version"}} {
		stdout, stderr, err := kubectl(t, "", args...)
		if err != nil || (stderr != "" && !strings.HasPrefix(stderr, "No resources found")) {
			t.Errorf("kubectl %v: %v\n%s", args, err, stderr)
		}
		if args[0] == "api-resources" {
			for _, want := range []string{"kubevisionusers", "kubevisionclusters", "kubevisionrolebindings",
				"kubevisionsessions", "kvrb"} {
				if !strings.Contains(stdout, want) {
					t.Errorf("kubectl %v does not show %s", args, want)
				}
			}
		}
	}
}

var (
	fieldLine = regexp.MustCompile(`^ {2}(\w+)\t<([^>]+)>`)
	proseLine = regexp.MustCompile(`^ {4}\S`)
)

// TestKubectlExplains verifies that each field of KubeVision's kinds has a description.
func TestKubectlExplains(t *testing.T) {
	for kind, least := range map[string]int{"kubevisionrolebinding": 15, "kubevisionuser": 8, "kubevisioncluster": 5,
		"kubevisionsession": 6} {
		stdout, stderr, err := kubectl(t, "", "explain", kind+".spec", "--recursive")
		if err != nil || stderr != "" || !strings.Contains(stdout, "FIELDS:") {
			t.Errorf("kubectl explain %s.spec --recursive: %v\n%s", kind, err, stderr)
		}
		if seen := explain(t, kind+".spec", 0); seen < least {
			t.Errorf("%s: only %d fields were explained", kind, seen)
		}
	}
	explain(t, "kubevisionrolebinding.status", 0)
}

// explain visits the fields of an object. It fails the test for a field without a description, and returns the number
// of fields.
func explain(t *testing.T, path string, depth int) int {
	t.Helper()
	if depth > 6 {
		t.Fatalf("%s is too deep", path)
	}
	stdout, stderr, err := kubectl(t, "", "explain", path)
	if err != nil || stderr != "" {
		t.Errorf("kubectl explain %s: %v\n%s", path, err, stderr)
		return 0
	}
	if strings.Contains(stdout, "DESCRIPTION:\n    <empty>") {
		t.Errorf("%s has no description", path)
	}
	_, fields, _ := strings.Cut(stdout, "FIELDS:\n")
	lines := strings.Split(fields, "\n")
	seen := 0
	for i, line := range lines {
		match := fieldLine.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		seen++
		described := false
		for _, next := range lines[i+1:] {
			if fieldLine.MatchString(next) {
				break
			}
			described = described || proseLine.MatchString(next) && !strings.HasPrefix(next, "    enum:") &&
				!strings.Contains(next, "<no description>")
		}
		if !described {
			t.Errorf("%s.%s has no description", path, match[1])
		}
		if strings.TrimPrefix(match[2], "[]") == "Object" {
			seen += explain(t, path+"."+match[1], depth+1)
		}
	}
	return seen
}
