// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse([]string{"--detach", "--fresh", "--member", "--port=1", "--kube-port", "2", "--member-port=3"},
		io.Discard)
	want := settings{detach: true, fresh: true, member: true, port: 1, kubePort: 2, memberPort: 3, nodes: 2}
	if err != nil || got != want {
		t.Errorf("settings are %+v (%v), want %+v", got, err, want)
	}
	all := settings{fresh: true, member: true, port: 1, kubePort: 2, memberPort: 3, nodes: 4, dashboardDir: "/d"}
	if got, err := parse(foregroundArgs(all), io.Discard); err != nil || got != all {
		t.Errorf("settings of the detached run are %+v (%v), want %+v", got, err, all)
	}
	if _, err := parse([]string{"detach"}, io.Discard); err == nil || !strings.Contains(err.Error(), `"detach"`) {
		t.Errorf("error of an unknown argument is %v", err)
	}
	if _, err := parse([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error of --help is %v", err)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	steps := newProgress(&out)
	for _, text := range []string{"one\ntwo\n", "three ... ", "done\n"} {
		if count, err := steps.Write([]byte(text)); err != nil || count != len(text) {
			t.Fatalf("Write gives %d, %v", count, err)
		}
	}
	steps.say("four")
	want := "[   0s] one\n[   0s] two\n[   0s] three ... done\n[   0s] four\n"
	if out.String() != want {
		t.Errorf("output is %q, want %q", out.String(), want)
	}
}

func TestPortTakenNamesTheFlag(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	taken, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("address is %v", listener.Addr())
	}
	free, err := localcluster.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = checkPorts(t.Context(), settings{port: free, kubePort: taken.Port})
	if err == nil || !strings.Contains(err.Error(), "--kube-port=") ||
		!strings.Contains(err.Error(), strconv.Itoa(taken.Port)) {
		t.Errorf("error is %v, want one that names the port and its flag", err)
	}
}

// fakeCurl is a shell script that replaces curl. The script responds to a login request with tokens, and prints the
// arguments of any other call.
const fakeCurl = `#!/bin/sh
case "$*" in
*'{"username":"alice","password":"s3cret"}'*/api/v1/auth/login)
	printf '%s' '{"code":0,"data":{"accessToken":"abc.def","expiresIn":900,"refreshToken":"zzz"}}' ;;
*) printf '%s\n' "$*" ;;
esac
`

// TestNextSteps verifies that the printed lines can be run in a shell.
func TestNextSteps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"fake/curl":                  fakeCurl,
		stateDir + "/bin/kubectl":    "#!/bin/sh\necho \"kubectl $KUBECONFIG $*\"\n",
		stateDir + "/alice-password": "s3cret\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var commands []string
	for line := range strings.Lines(nextSteps("https://localhost:9443", 2, true)) {
		if strings.HasPrefix(line, "KUBECONFIG=") || strings.HasPrefix(line, "TOKEN=") ||
			strings.HasPrefix(line, "curl ") {
			commands = append(commands, line)
		}
	}
	if len(commands) != 3 {
		t.Fatalf("%d commands, want 3: %q", len(commands), commands)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-eu", "-c", strings.Join(commands, ""))
	shell.Dir = dir
	shell.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "fake")+":"+os.Getenv("PATH"))
	output, err := shell.CombinedOutput()
	want := "kubectl .kubevision/kubeconfig get kubevisionusers\n" +
		"-fsS --cacert .kubevision/ca.crt -H Authorization: Bearer abc.def " +
		"https://localhost:9443/api/v1/clusters/local/namespaces/demo/resources/pods\n"
	if err != nil || string(output) != want {
		t.Errorf("output is %q (%v), want %q", output, err, want)
	}
}
