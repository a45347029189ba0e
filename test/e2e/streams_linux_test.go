// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/e2e/node"
)

const (
	// endsWithin is the maximum time from the loss of a permission to the end of the terminal.
	endsWithin = time.Second
	copySize   = 50 << 20
	binarySize = 1 << 20
)

// testStreams verifies logs, terminals and file transfers of Pods that a real kubelet runs. Each test runs twice: over
// the Service of KubeVision, and through kube-apiserver.
func testStreams(t *testing.T) {
	t.Run("terminal", func(t *testing.T) {
		for _, d := range doors(t) {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel() // the terminals are idle most of the time
				testTerminal(t, d)
			})
		}
	})
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			t.Run("binary", func(t *testing.T) { testBinary(t, d) })
			t.Run("copy", func(t *testing.T) { testCopy(t, d) })
			t.Run("log", func(t *testing.T) { testLog(t, d) })
			t.Run("ends", func(t *testing.T) { testEnds(t, d) })
		})
	}
}

func runPod(t *testing.T, namespace, name, script string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64),
			Containers: []corev1.Container{{
				Name: "main", Image: node.ShellImage, ImagePullPolicy: corev1.PullNever,
				Command: []string{"sh", "-c", script},
			}},
		},
	}
	eventually(t, "create the Pod "+name, func(ctx context.Context) error { return world.host.Client.Create(ctx, pod) })
	world.host.must(t, "-n", namespace, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=60s")
}

// inNamespace creates a Namespace with a Pod, and a user who may open terminals in the Namespace.
func inNamespace(t *testing.T, d door, script string) (p person, namespace string) {
	t.Helper()
	namespace = world.host.Namespace(t, "streams")
	p = newPerson(t, d, "dev", namespace)
	runPod(t, namespace, "web", script)
	eventually(t, "have the right", func(ctx context.Context) error {
		r := p.request("/clusters/" + hostName + "/namespaces/" + namespace + "/resources/pods")
		return p.client.Answers(ctx, wire.OK, r)
	})
	return p, namespace
}

const shell = "exec?container=main&command=sh"

func testTerminal(t *testing.T, d door) {
	p, namespace := inNamespace(t, d, "sleep 1000000")
	s := p.open(t, namespace, "web", shell)
	begun := time.Now()
	typing := time.AfterFunc(*idle, func() { // until then, the client only responds to pings
		s.send(t, frame{Type: "resize", Cols: 123, Rows: 45})
		s.typeIn(t, "sleep 1; stty size; echo caf\u00e9 $((40+2))\n")
	})
	defer typing.Stop()
	s.readUntil(t, *idle+patience, func(data string, _ frame) bool {
		return strings.Contains(data, "45 123\r\ncaf\u00e9 42")
	})
	fmt.Fprintf(os.Stderr, "%s: a terminal was idle for %s\n", t.Name(), time.Since(begun).Round(time.Second))
	s.typeIn(t, "exit 7\n")
	var last frame
	s.readUntil(t, patience, func(_ string, f frame) bool {
		last = f
		return f.Type == "close"
	})
	if last.ExitCode == nil || *last.ExitCode != 7 {
		t.Errorf("the end is %+v", last)
	}
}

func testBinary(t *testing.T, d door) {
	p, namespace := inNamespace(t, d, "sleep 1000000")
	content := random(binarySize)
	s := p.open(t, namespace, "web",
		"exec?container=main&tty=false&binary=true&command=head&command=-c&command="+strconv.Itoa(binarySize))
	sent := make(chan error, 1)
	go func() { // the command writes before it has read all input
		var err error
		for part := range bytesOf(content, 32<<10) {
			err = errors.Join(err, s.WriteMessage(websocket.BinaryMessage, append([]byte{0}, part...)))
		}
		sent <- err
	}()
	if back := s.readStdout(t, binarySize); sum(back) != sum(content) {
		t.Errorf("%d bytes come back, and are others", len(back))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func random(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.Read(out) // never fails
	return out
}

func testCopy(t *testing.T, d door) {
	p, namespace := inNamespace(t, d, "sleep 1000000")
	content := random(copySize)
	begun := time.Now()
	in := p.open(t, namespace, "web", "copy?to=/tmp/file&size="+strconv.Itoa(copySize))
	for part := range bytesOf(content, 48<<10) {
		if err := in.WriteMessage(websocket.BinaryMessage, part); err != nil {
			t.Fatal(err)
		}
	}
	in.send(t, frame{Type: "end"})
	if _, end := in.readCopy(t); end.Reason != "done" || end.Bytes != copySize {
		t.Fatalf("the copy into the container has ended: %+v", end)
	}
	arrived := time.Now()
	own := world.host.must(t, "-n", namespace, "exec", "web", "--", "sha256sum", "/tmp/file")
	if !strings.HasPrefix(own, sum(content)) {
		t.Errorf("the checksum in the container is %s, want %s", own, sum(content))
	}
	asked := time.Now()
	back, end := p.open(t, namespace, "web", "copy?from=/tmp/file").readCopy(t)
	if end.Reason != "done" || sum(back) != sum(content) {
		t.Errorf("%d bytes have come back, and are others: %+v", len(back), end)
	}
	fmt.Fprintf(os.Stderr, "%s: %d MiB into a container after %s, and back after %s\n", t.Name(), copySize>>20,
		arrived.Sub(begun).Round(time.Millisecond), time.Since(asked).Round(time.Millisecond))
}

func bytesOf(all []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for begin := 0; begin < len(all); begin += size {
			if !yield(all[begin:min(begin+size, len(all))]) {
				return
			}
		}
	}
}

func (s socket) readStdout(t *testing.T, size int) []byte {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for out.Len() < size {
		kind, message, err := s.ReadMessage()
		if err != nil {
			t.Fatalf("after %d bytes: %v", out.Len(), err)
		}
		if kind == websocket.BinaryMessage && message[0] == 1 { // 1 means standard output
			out.Write(message[1:])
		}
	}
	return out.Bytes()
}

func sum(content []byte) string {
	hash := sha256.Sum256(content)
	return hex.EncodeToString(hash[:])
}

// testEnds verifies that a terminal ends when an object on which it depends is removed.
func testEnds(t *testing.T, d door) {
	for _, test := range []struct {
		name    string
		reasons []string
		end     func(*testing.T, person)
	}{
		{"binding", []string{"forbidden"}, func(t *testing.T, p person) { world.host.Delete(t, p.binding) }},
		{"session", []string{"session-ended"}, func(t *testing.T, p person) {
			r := p.request("/auth/logout")
			r.Method = http.MethodPost
			p.client.Call(t, r).Want(t, wire.OK)
		}},
		{"user", []string{"session-ended"}, func(t *testing.T, p person) { world.host.Delete(t, p.User.Object) }},
		// The rights in a cluster are revoked before its registration is deleted.
		{"cluster", []string{"cluster-gone", "forbidden"}, func(t *testing.T, _ person) {
			c := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: hostName}}
			world.host.Delete(t, c)
			t.Cleanup(func() { registerHost(t) })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, namespace := inNamespace(t, d, "sleep 1000000")
			s := p.open(t, namespace, "web", shell)
			s.typeIn(t, "echo $((40+2))\n")
			s.awaitText(t, "42")
			test.end(t, p)
			reason, took := s.awaitEnd(t)
			t.Logf("ended after %s", took.Round(time.Millisecond))
			if !slices.Contains(test.reasons, reason) || took > endsWithin+slack {
				t.Errorf("the terminal ends after %s because of %q", took, reason)
			}
		})
	}
}

func registerHost(t *testing.T) {
	t.Helper()
	old := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: hostName}}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if _, err := world.host.kubectl(ctx, "wait", "--for=delete", "kubevisioncluster/"+hostName,
		"--timeout=60s"); err != nil {
		t.Error(err)
	}
	old.Spec.InCluster = true
	if err := world.host.Client.Create(ctx, old); err != nil {
		t.Error(err)
	}
	if _, err := world.host.kubectl(ctx, "wait", "--for=condition=Ready", "kubevisioncluster/"+hostName,
		"--timeout=60s"); err != nil {
		t.Error(err)
	}
}

// testLog verifies that a followed log continues across the rotation of its file and restarts of the container.
func testLog(t *testing.T, d door) {
	// The container writes more than the maximum size of a log file, and then exits.
	const lines = 4000
	p, namespace := inNamespace(t, d, `i=0; while [ $i -lt 4000 ]; do i=$((i+1)); `+
		`echo "line $i of this log, padded to be long"; [ $((i%400)) != 0 ] || sleep 1; done`)
	s := p.open(t, namespace, "web", "logs?container=main&follow=true")
	next, seen := 1, 0
	s.readUntil(t, patience, func(_ string, f frame) bool {
		if f.Type != "log" {
			return false
		}
		fields := strings.Fields(f.Data)
		if len(fields) < 2 || fields[1] != strconv.Itoa(next) {
			t.Errorf("the line %q follows line %d", f.Data, next-1)
			return true
		}
		next++
		if next > lines {
			next = 1
		}
		seen++
		return seen == lines+lines/10
	})
	restarts := world.host.must(t, "-n", namespace, "get", "pod", "web",
		"-o", "jsonpath={.status.containerStatuses[0].restartCount}")
	if restarts == "0" {
		t.Error("the container has not restarted")
	}
	rotated, err := filepath.Glob(podLogs + "/" + namespace + "_web_*/main/*.log.*")
	if err != nil || len(rotated) == 0 {
		t.Errorf("no file of the log was rotated: %v", err)
	}
}
