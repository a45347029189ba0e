// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// manyPods is a number of Pods with which other dashboards become unusable.
const manyPods = 5000

// BenchmarkList compares how long KubeVision and kube-apiserver take to read Pods in a cluster with many Pods.
// It also measures how much the memory of kubevision-apiserver grows.
func BenchmarkList(b *testing.B) {
	ns := createManyPods(b)
	for name, paths := range map[string]struct{ ours, theirs string }{
		"all":      {"/clusters/" + host + "/resources/pods", "/api/v1/pods"},
		"page":     {"/clusters/" + host + "/resources/pods?limit=100", "/api/v1/pods?limit=100"},
		"sorted":   {"/clusters/" + host + "/resources/pods?sortBy=age&limit=100", "/api/v1/pods"},
		"overview": {"/clusters/" + host + "/overview", "/api/v1/pods"},
		"search": {"/clusters/" + host + "/search?q=pod-00042&types=pods&namespace=" + ns,
			"/api/v1/namespaces/" + ns + "/pods"},
	} {
		b.Run(name, func(b *testing.B) { listing(b, paths.ours, paths.theirs) })
	}
}

func listing(b *testing.B, path, theirPath string) {
	b.Helper()
	u := set().User(b, "lister")
	set().Bind(b, "lister", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(u), Cluster: host})
	request := wire.Request{Path: wire.DirectPath + path, Bearer: u.Login(b, direct(b), wire.DirectPath).AccessToken}
	config := env.Cluster.Config()
	kube, err := wire.ForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	var mine, theirs durations
	var size int
	pid, ours, other := contestants(b, request)
	resident := readMemory(b, pid).resident
	forgetPeak(b, pid)
	for b.Loop() {
		var response *wire.Response
		other.beside(b, request, func() {
			mine = append(mine, timed(func() { response = ours.Send(b, request) }))
			succeeded(b, response)
		})
		size = len(response.Body)
		theirs = append(theirs, timed(func() { response = kube.Send(b, wire.Request{Path: theirPath}) }))
	}
	compareMedians(b, "ours", mine, "kube", theirs)
	other.report(b, mine)
	b.ReportMetric(readMemory(b, pid).peak-resident, "peak-MiB")
	b.ReportMetric(float64(size)/(1<<20), "answer-MiB")
}

func createManyPods(b *testing.B) (namespace string) {
	b.Helper()
	set().HostCluster(b, host)
	ns := set().Namespace(b, "crowd")
	set().Pod(b, ns, "first") // waits until the namespace has its ServiceAccount
	var group errgroup.Group
	group.SetLimit(16)
	for i := range manyPods {
		group.Go(func() error {
			err := set().Client.Create(b.Context(), &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: ns, Name: fmt.Sprintf("pod-%05d", i),
					Labels:      map[string]string{"app": fmt.Sprintf("app-%d", i%100)},
					Annotations: map[string]string{"example.com/note": strings.Repeat("x", 500)},
				},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "main", Image: "registry.example.com/team/app:1.2.3",
					Args: []string{"--listen=:8080", "--log-format=json"},
					Env: []corev1.EnvVar{{Name: "A", Value: strings.Repeat("a", 50)},
						{Name: "B", Value: strings.Repeat("b", 50)}},
				}}},
			})
			if err != nil {
				return fmt.Errorf("creating a Pod: %w", err)
			}
			return nil
		})
	}
	begun := time.Now()
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d Pods made in %s", manyPods, time.Since(begun).Round(time.Second))
	return ns
}
