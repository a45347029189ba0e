// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func overHTTP(namespace, what string) string {
	return "/clusters/" + host + "/log/namespaces/" + namespace + what
}

func (p person) text(tb testing.TB, path string) string {
	tb.Helper()
	response := p.client.Send(tb, p.get(path))
	if kind := response.Header.Get("Content-Type"); response.Status != 200 || kind != "text/plain; charset=utf-8" {
		tb.Fatalf("%s: %d %s %s", path, response.Status, kind, response.Body)
	}
	return string(response.Body)
}

// TestLogAsText verifies HTTP requests for the log of a container:
//   - The response is plain text, or a gzip file on request.
//   - Query parameters select the lines.
//   - Long lines are truncated.
//   - Invalid parameters are rejected.
func TestLogAsText(t *testing.T) {
	p, namespace := inNamespace(t, "readonly")
	runs(t, namespace, "web", nil, "main", "side")
	const escape = "\x1b[31mred\x1b[0m <script>"
	writeLog(t, namespace, "web", "main", "one", "two", "\xff"+escape)
	writeLog(t, namespace, "web", "side", strings.Repeat("x", 20<<10))
	path := overHTTP(namespace, "/pods/web?container=main")
	if got := p.text(t, path); got != "one\ntwo\n\uFFFD"+escape+"\n" {
		t.Errorf("the log is %q", got)
	}
	if got := p.text(t, path+"&tailLines=1000000000000"); strings.Count(got, "\n") != 3 {
		t.Errorf("a large tail is %q", got)
	}
	if got := p.text(t, path+"&tailLines=2&timestamps=true"); !strings.Contains(got, "Z two\n") ||
		strings.Contains(got, "one") {
		t.Errorf("the tail is %q", got)
	}
	if got := p.text(t, overHTTP(namespace, "/pods/web?container=side")); len(got) != 16<<10+1 {
		t.Errorf("a long line has %d bytes", len(got))
	}
	response := p.client.Send(t, p.get(path+"&gzip=true"))
	unpacked, err := gzip.NewReader(bytes.NewReader(response.Body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(unpacked); err != nil || !strings.HasPrefix(string(text), "one\ntwo\n") {
		t.Errorf("the file is %q (%v)", text, err)
	}
	for query, code := range map[string]int{
		"?container=main&tailLines=-1": wire.Invalid, "?container=main&follow=perhaps": wire.Invalid,
		"?container=..%2f": wire.Invalid, "?container=main&sinceSeconds=0": wire.Invalid,
		"?container=main&follow=true&previous=true": wire.Invalid,
	} {
		p.client.Call(t, p.get(overHTTP(namespace, "/pods/web")+query)).Want(t, code)
	}
	p.client.Call(t, p.get(overHTTP(namespace, "/pods/none"))).Want(t, wire.NotFound)
	stranger := bound(t, "readonly", set().Namespace(t, "other"))
	stranger.client.Call(t, stranger.get(path)).Want(t, wire.NamespaceForbidden)
}

// TestMergedLogs verifies that the lines of several Pods are sorted by their times, each with the name of its Pod.
func TestMergedLogs(t *testing.T) {
	p, namespace := inNamespace(t, "readonly")
	labels := map[string]string{"app": "shop"}
	for _, name := range []string{"a", "b"} {
		runs(t, namespace, name, labels, "main")
	}
	for i := range 3 {
		for _, name := range []string{"a", "b"} {
			writeLog(t, namespace, name, "main", fmt.Sprint(name, i))
		}
	}
	runs(t, namespace, "other", nil, "main")
	const want = "a/main a0\nb/main b0\na/main a1\nb/main b1\na/main a2\nb/main b2\n"
	if got := p.text(t, overHTTP(namespace, "/pods?labelSelector=app%3Dshop")); got != want {
		t.Errorf("the logs are %q", got)
	}
	p.client.Call(t, p.get(overHTTP(namespace, "/pods?labelSelector=%3D%3D"))).Want(t, wire.Invalid)

	// The log of a Pod that starts later is followed, too.
	conn := open(t, p.client,
		p.get("/clusters/"+host+"/namespaces/"+namespace+"/logs?follow=true&labelSelector=app%3Dshop"))
	readUntil(t, conn, func(f frame) bool { return f.Pod == "b" && f.Data == "b2" })
	runs(t, namespace, "c", labels, "main")
	writeLog(t, namespace, "c", "main", "c0")
	readUntil(t, conn, func(f frame) bool { return f.Pod == "c" && f.Container == "main" && f.Data == "c0" })
}

// TestFollowAcrossARestart verifies that no line is lost or repeated when a container restarts.
func TestFollowAcrossARestart(t *testing.T) {
	p, namespace := inNamespace(t, "readonly")
	pod := runs(t, namespace, "web", nil, "main")
	writeLog(t, namespace, "web", "main", "1", "2")
	conn := open(t, p.client, p.get(ofPod(namespace, "web", "logs?container=main&follow=true&tailLines=1")))
	if got := ofType(readUntil(t, conn, func(f frame) bool { return f.Data == "2" }), "log"); got != "2" {
		t.Errorf("the tail is %q", got)
	}
	file := filepath.Join(env.Cluster.PodsDir(), namespace, "web", "main")
	if err := os.WriteFile(file+".exited", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	writeLog(t, namespace, "web", "main", "3")
	readUntil(t, conn, func(f frame) bool { return f.Data == "3" })
	time.Sleep(1500 * time.Millisecond) // the kubelet checks once per second whether the container has exited
	if err := errors.Join(os.Rename(file+".log", file+".previous.log"), os.Remove(file+".exited")); err != nil {
		t.Fatal(err)
	}
	writeLog(t, namespace, "web", "main", "4", "5")
	if got := ofType(readUntil(t, conn, func(f frame) bool { return f.Data == "5" }), "log"); got != "45" {
		t.Errorf("after the restart: %q", got)
	}
	if got := p.text(t, overHTTP(namespace, "/pods/web?previous=true")); got != "1\n2\n3\n" {
		t.Errorf("before the restart: %q", got)
	}
	// The log ends when the Pod has ended.
	pod.Status.Phase = corev1.PodSucceeded
	if err := errors.Join(
		env.Client.Status().Update(t.Context(), pod), os.WriteFile(file+".exited", nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	readUntil(t, conn, func(f frame) bool { return f.Type == "close" })
	if _, reason := conn.awaitEnd(t, promptly); reason != "done" {
		t.Errorf("the reason is %q", reason)
	}
}

func TestLogEndsWithItsRight(t *testing.T) {
	p, namespace := inNamespace(t, "readonly")
	runs(t, namespace, "web", nil, "main")
	writeLog(t, namespace, "web", "main", "1")
	conn := open(t, p.client, p.get(ofPod(namespace, "web", "logs?container=main&follow=true")))
	readUntil(t, conn, func(f frame) bool { return f.Data == "1" })
	text := make(chan error, 1)
	go func() {
		_, err := p.client.Do(t.Context(), p.get(overHTTP(namespace, "/pods/web?follow=true")))
		text <- err
	}()
	p.unbind(t)
	if _, reason := conn.awaitEnd(t, promptly); reason != "forbidden" {
		t.Errorf("the reason is %q", reason)
	}
	select {
	case err := <-text:
		if err == nil {
			t.Error("the response over HTTP is complete")
		}
	case <-time.After(promptly):
		t.Error("the response over HTTP goes on")
	}
}

// TestLogThroughKubeAPIServer verifies that a client can follow the log of a container through kube-apiserver.
func TestLogThroughKubeAPIServer(t *testing.T) {
	_, namespace := inNamespace(t, "readonly")
	runs(t, namespace, "web", nil, "main")
	writeLog(t, namespace, "web", "main", "1")
	name := fixture.Name("jane")
	set().Bind(t, "readonly", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubernetesUsers(name), Cluster: host, Namespaces: []string{namespace},
	})
	config, err := env.Cluster.UserConfig(name)
	if err != nil {
		t.Fatal(err)
	}
	client, err := wire.ForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	path := wire.GroupPath + ofPod(namespace, "web", "logs?container=main&follow=true")
	fixture.Eventually(t, "the right of the user", func(ctx context.Context) error {
		return client.Answers(ctx, 0, wire.Request{
			Path: wire.GroupPath + "/clusters/" + host + "/namespaces/" + namespace + "/resources/pods",
		})
	})
	conn := open(t, client, wire.Request{Path: path})
	readUntil(t, conn, func(f frame) bool { return f.Data == "1" })
	writeLog(t, namespace, "web", "main", "2")
	readUntil(t, conn, func(f frame) bool { return f.Data == "2" })
}
