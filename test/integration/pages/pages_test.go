// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// patience bounds the time for which a read-only command is repeated until it prints the output that the documentation
// page shows.
const patience = 20 * time.Second

// warning matches the warning that "kubectl auth can-i" prints for cluster-scoped kinds.
var warning = regexp.MustCompile(`(?m)^Warning: resource .* is not namespace scoped.*\n\n?`)

func orderedPages() []string {
	return []string{
		"README.md", "docs/quickstart-dashboard.md", "docs/quickstart-operator.md", "docs/users.md", "docs/clusters.md",
		"docs/role-bindings.md", "docs/rbac.md", "docs/authentication.md", "docs/workloads.md", "docs/api.md",
		"docs/reference.md", "docs/performance.md", "docs/conformance.md", "CONTRIBUTING.md",
		"docs/quickstart-developer.md", "docs/operations.md", "docs/install.md",
	}
}

func excludedPages() map[string]string {
	return map[string]string{
		"docs/backup.md":    "it restores into another control plane",
		"docs/client.md":    "the tests of the TypeScript client run it",
		"docs/dashboard.md": "the tests of the dashboard's files run it",
		"docs/runbooks.md":  "its listing is a part of a configuration",
		"docs/streams.md":   "the tests of streams send the messages of its client",
	}
}

// TestPages verifies that the commands of all documentation pages succeed. The pages are run one after the other, with
// one local cluster.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("-short was given, and this starts a control plane")
	}
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	// Building the programs within a command of a page would exceed the time of the command.
	if _, err := localcluster.NodeAssets(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	dir, env := prepare(t, root)
	for _, page := range orderedPages() {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(page, func(t *testing.T) { runPage(t, newShell(t, dir, env), page, string(text)) })
		if t.Failed() { // the following pages depend on this one
			break
		}
	}
}

func TestEveryPageIsRun(t *testing.T) {
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	known := append(orderedPages(), slices.Collect(maps.Keys(excludedPages()))...)
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			page := strings.TrimPrefix(path, root+string(filepath.Separator))
			commands := slices.ContainsFunc(parse(string(text)),
				func(b block) bool { return b.kind != data && b.skipped == "" })
			if commands && !slices.Contains(known, page) {
				t.Errorf("no test runs the commands of %s: add it to orderedPages", page)
			}
		}
	}
}

func runPage(t *testing.T, s *shell, page, text string) {
	for _, b := range parse(text) {
		if b.skipped != "" {
			continue
		}
		for _, step := range b.steps() {
			began := time.Now()
			if err := runStep(s, step); err != nil {
				t.Fatalf("%s:%d: %s\n%v", page, b.line, step.command, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Logf("%s:%d: %s: %.60q", page, b.line, took.Round(100*time.Millisecond), step.command)
			}
		}
	}
}

// runStep runs a command. It repeats a read-only command until the output equals the output on the documentation page,
// because data may appear with a delay.
func runStep(s *shell, step step) error {
	until := time.Now().Add(patience)
	for {
		output, status, err := s.run(step.command)
		if err != nil {
			return errors.Join(err, errors.New(output))
		}
		switch {
		case step.shown:
			err = match(step.output, warning.ReplaceAllString(output, ""))
		case status != 0:
			err = fmt.Errorf("exit status %d\n%s", status, output)
		default:
			err = matchCodes(step.codes, output)
		}
		if err == nil || !isReadOnly(step.command) || time.Now().After(until) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func isReadOnly(command string) bool {
	if strings.Contains(command, " -d ") || strings.Contains(command, " -X ") {
		return false
	}
	for _, prefix := range []string{"kubectl get ", "kubectl auth can-i ", "get ", "api -H ",
		"kubectl -n kubevision-system get "} {
		if strings.HasPrefix(command, prefix) {
			return true
		}
	}
	return false
}

const makeShim = `#!/usr/bin/env bash
set -o errexit -o nounset
target="$1"
args=()
for word in "${@:2}"; do
  case "${word}" in
  ARGS=*) read -ra args <<<"${word#ARGS=}" ;;
  esac
done
case "${target}" in
run)
  exec "${PAGES_RUN}" --port="${PAGES_PORT}" --kube-port="${PAGES_KUBE_PORT}" --member-port="${PAGES_MEMBER_PORT}" \
    "${args[@]}"
  ;;
stop) exec "${PAGES_RUN}" --stop ;;
*) echo "the test of the pages does not run make ${target}" >&2; exit 1 ;;
esac
`

// sleepShim skips a sleep of 10 seconds or more, and advances the clock for one-time codes instead.
const sleepShim = `#!/usr/bin/env bash
if (("$1" < 10)); then exec -a sleep "${PAGES_SLEEP}" "$1"; fi
printf '%d' "$(("$(cat "${PAGES_SHIFT}" 2>/dev/null || echo 0)" + "$1"))" >"${PAGES_SHIFT}"
`

// prepare creates a directory with links to the files of the repository, but without files of a local cluster. It
// returns the directory, and the environment variables for the commands of the documentation pages.
func prepare(t *testing.T, root string) (string, []string) {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".kubevision" {
			must(t, os.Symlink(filepath.Join(root, e.Name()), filepath.Join(dir, e.Name())))
		}
	}
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(bin, "oathtool")))
	must(t, os.WriteFile(filepath.Join(bin, "make"), []byte(makeShim), 0o700))
	must(t, os.WriteFile(filepath.Join(bin, "sleep"), []byte(sleepShim), 0o700))
	if _, err := exec.LookPath("jq"); err != nil {
		build(t, filepath.Join(root, "hack", "tools"), filepath.Join(bin, "jq"), "github.com/itchyny/gojq/cmd/gojq")
	}
	run := filepath.Join(bin, "kubevision-run")
	build(t, root, run, "./hack/run")
	sleep, err := exec.LookPath("sleep")
	must(t, err)
	env := append(os.Environ(),
		"PATH="+bin+":"+filepath.Join(dir, ".kubevision", "bin")+":"+os.Getenv("PATH"), "KUBECACHEDIR="+t.TempDir(),
		"PAGES_RUN="+run, "PAGES_SLEEP="+sleep, shiftVariable+"="+filepath.Join(bin, "shift"))
	for _, name := range []string{"PAGES_PORT", "PAGES_KUBE_PORT", "PAGES_MEMBER_PORT"} {
		port, err := localcluster.FreePort(t.Context())
		must(t, err)
		env = append(env, fmt.Sprintf("%s=%d", name, port))
	}
	t.Cleanup(func() { stop(t, run, dir, env) })
	return dir, env
}

func build(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-ldflags=-w", "-o", program}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func stop(t *testing.T, run, dir string, env []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, run, "--stop")
	cmd.Dir, cmd.Env = dir, env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if log, err := os.ReadFile(filepath.Join(dir, ".kubevision", "run.log")); err == nil && t.Failed() {
		t.Logf("%s", log)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
