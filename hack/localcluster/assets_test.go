// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeGo is a script that replaces the go command. It records the names of the programs to build, fails for the name in
// FAKE_GO_FAILS, and blocks at the name in FAKE_GO_HANGS.
const fakeGo = `#!/bin/sh
case "$1" in
env) echo "value of $2" ;;
list) echo v1.2.3 ;;
build)
	while [ "$1" != -o ]; do shift; done
	name="$(basename "$2")"
	echo "$name" >>"$FAKE_GO_LOG"
	if [ "$name" = "$FAKE_GO_HANGS" ]; then exec sleep 60; fi
	sleep 0.2
	if [ "$name" = "$FAKE_GO_FAILS" ]; then echo "the compiler's complaint"; exit 1; fi
	printf '#!/bin/sh\n' >"$2"
	chmod +x "$2" ;;
esac
`

// fakeToolchain makes build.sh use a fake go command and an empty cache directory. The function builtPrograms
// returns the names of the programs that build.sh has built.
func fakeToolchain(t *testing.T) (cacheDir string, builtPrograms func() string) {
	t.Helper()
	dir := t.TempDir()
	writeExecutable(t, filepath.Join(dir, "go"), fakeGo)
	log := filepath.Join(dir, "built")
	cacheDir = filepath.Join(dir, "cache")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("KUBEBUILDER_ASSETS", "")
	t.Setenv("KUBEVISION_CACHE", cacheDir)
	t.Setenv("FAKE_GO_LOG", log)
	return cacheDir, func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(text)), " ")
	}
}

func writeExecutable(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

const allPrograms = "etcd kube-apiserver kube-controller-manager kubectl"

func TestAssetsTwoRunsBuildOnce(t *testing.T) {
	_, built := fakeToolchain(t)
	checkTwoRuns(t, built)
}

// TestAssetsWithoutFlock verifies the build on systems without the program flock.
func TestAssetsWithoutFlock(t *testing.T) {
	cache, built := fakeToolchain(t)
	tools := t.TempDir()
	for tool := range strings.FieldsSeq(
		"bash sh basename cat chmod cut dirname find mkdir mktemp mv rm sed sha256sum shasum sleep tail") {
		if path, err := exec.LookPath(tool); err == nil {
			if err := os.Symlink(path, filepath.Join(tools, tool)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", filepath.Dir(os.Getenv("FAKE_GO_LOG"))+":"+tools)
	checkTwoRuns(t, built)

	// A killed process leaves its lock, which contains the id of the process.
	dir := soleFolder(t, filepath.Join(cache, "controlplane"))
	if err := os.Remove(filepath.Join(dir, "kubectl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+".lock.d", 0o700); err != nil {
		t.Fatal(err)
	}
	dead := exec.CommandContext(t.Context(), "sh", "-c", "exit")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, filepath.Join(dir+".lock.d", "pid"), strconv.Itoa(dead.Process.Pid))
	if _, err := Assets(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := built(); got != allPrograms+" kubectl" {
		t.Errorf("built are %q", got)
	}
}

func checkTwoRuns(t *testing.T, built func() string) {
	t.Helper()
	var dirs [2]string
	var runs sync.WaitGroup
	for i := range dirs {
		runs.Go(func() {
			dir, err := Assets(t.Context(), io.Discard)
			if err != nil {
				t.Error(err)
			}
			dirs[i] = dir
		})
	}
	runs.Wait()
	if dirs[0] != dirs[1] || !filepath.IsAbs(dirs[0]) {
		t.Errorf("folders are %q", dirs)
	}
	if got := built(); got != allPrograms {
		t.Errorf("built are %q, want each program once", got)
	}
	if _, err := exec.LookPath(filepath.Join(dirs[0], "kubectl")); err != nil {
		t.Error(err)
	}
}

func soleFolder(t *testing.T, root string) string {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, entry := range entries {
		if entry.IsDir() {
			folders = append(folders, filepath.Join(root, entry.Name()))
		}
	}
	if len(folders) != 1 {
		t.Fatalf("folders are %q, want one", folders)
	}
	return folders[0]
}

func TestAssetsBuildFails(t *testing.T) {
	_, built := fakeToolchain(t)
	t.Setenv("FAKE_GO_FAILS", "kube-controller-manager")
	var out bytes.Buffer
	if _, err := Assets(t.Context(), &out); err == nil {
		t.Fatal("no error")
	}
	_, err := Assets(t.Context(), io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"could not build kube-controller-manager", "the compiler's complaint",
		"what to try"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output %q does not contain %q", out.String(), want)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, without output, does not contain %q", err, want)
		}
	}
	t.Setenv("FAKE_GO_FAILS", "")
	if _, err := Assets(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := built(); strings.Count(got, "etcd") != 1 || strings.Count(got, "kube-controller-manager") != 3 {
		t.Errorf("built are %q, want the failing program each time and the others once", got)
	}
}

func TestAssetsInterrupted(t *testing.T) {
	cache, _ := fakeToolchain(t)
	t.Setenv("FAKE_GO_HANGS", "kube-apiserver")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	if _, err := Assets(ctx, io.Discard); err == nil {
		t.Fatal("no error")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the end took %s", took)
	}
	dir := soleFolder(t, filepath.Join(cache, "controlplane"))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "etcd" {
		t.Errorf("left are %v (%v), want the complete etcd only", entries, err)
	}
	t.Setenv("FAKE_GO_HANGS", "")
	if _, err := Assets(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
}

func TestAssetsOfTheUser(t *testing.T) {
	prepared := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", prepared)
	for _, name := range []string{"etcd", "kube-apiserver"} {
		writeExecutable(t, filepath.Join(prepared, name), "#!/bin/sh\n")
	}
	if _, err := Assets(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), `no program "kubectl"`) {
		t.Errorf("error is %v, want one that names kubectl", err)
	}
	writeExecutable(t, filepath.Join(prepared, "kubectl"), "#!/bin/sh\n")
	var out bytes.Buffer
	got, err := Assets(t.Context(), &out)
	if err != nil || got != prepared {
		t.Errorf("folder is %q (%v), want %q", got, err, prepared)
	}
	if !strings.Contains(out.String(), "no kube-controller-manager") {
		t.Errorf("output is %q", out.String())
	}
}
