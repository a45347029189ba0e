// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// crowdedNamespaces are those that the Pods of BenchmarkCachedList are spread over.
	crowdedNamespaces = 50
	// turn is how long requests of one kind are sent before those of the next.
	turn = time.Second
)

// contender is what answers the same question as others.
type contender struct {
	name   string
	client *http.Client
	url    string
	header http.Header

	answers, bytes atomic.Int64
	spent          time.Duration
}

// BenchmarkCachedList compares answers of the read cache with live ones, with those of kube-apiserver, and with the
// same
// bytes from Go's file server, which is the bare limit. All send in turns.
func BenchmarkCachedList(b *testing.B) {
	namespaces := spread(b)
	u, ours := set().User(b, "reader"), direct(b)
	set().Bind(b, "reader", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(u), Cluster: host})
	token := u.Login(b, ours, wire.DirectPath).AccessToken
	server, err := env.KubeVision.StartAPIServer(b.Context(), 0, "--read-cache-bytes=268435456")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Kill() })
	for _, tc := range []struct {
		name, path, kube string
		clients          int
	}{
		{"namespace", "/namespaces/" + namespaces[0] + "/resources/pods", "/api/v1/namespaces/" + namespaces[0] +
			"/pods", 8},
		{"all", "/resources/pods", "/api/v1/pods", 2},
		{"pod", "/namespaces/" + namespaces[0] + "/resources/pods/pod-000", "/api/v1/namespaces/" + namespaces[0] +
			"/pods/pod-000", 8},
	} {
		b.Run(tc.name, func(b *testing.B) {
			url := server.Endpoint() + wire.DirectPath + "/clusters/" + host + tc.path
			found := contenders(b, url, token, tc.kube)
			for b.Loop() {
				for _, c := range found {
					c.send(b, tc.clients)
				}
			}
			reportRates(b, found)
			b.ReportMetric(readMemory(b, server.PID()).resident, "resident-MiB")
		})
	}
}

// contenders returns all that answer, the bare limit first.
func contenders(b *testing.B, url, token, kubePath string) []*contender {
	b.Helper()
	plain := &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: 64, DisableCompression: true,
	}}
	authorized := func(more ...string) http.Header {
		h := http.Header{"Authorization": {"Bearer " + token}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	first := &contender{client: plain, url: url, header: authorized()}
	var body []byte
	var tag string
	for range 50 { // the first is live while the cache is filled
		var response *http.Response
		response, body = first.once(b) //nolint:bodyclose // once closes it
		if bytes.Contains(body[max(0, len(body)-400):], []byte(`"source":"cache"`)) {
			tag = response.Header.Get("ETag")
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if tag == "" {
		b.Fatalf("it is not answered from the cache: %.300s", body[max(0, len(body)-300):])
	}
	limit := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "list.json", time.Time{}, bytes.NewReader(body))
	}))
	b.Cleanup(limit.Close)
	config := env.Cluster.Config()
	config.NextProtos = []string{"http/1.1"} // as the others
	transport, err := rest.TransportFor(config)
	if err != nil {
		b.Fatal(err)
	}
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return []*contender{
		{name: "limit", client: plain, url: limit.URL},
		{name: "kube", client: &http.Client{Transport: transport}, url: config.Host + kubePath,
			header: http.Header{"Accept-Encoding": {"identity"}}},
		{name: "live", client: plain, url: url + separator + "source=live", header: authorized()},
		{name: "cached", client: plain, url: url, header: authorized()},
		{name: "gzip", client: plain, url: url, header: authorized("Accept-Encoding", "gzip")},
		{name: "unchanged", client: plain, url: url, header: authorized("If-None-Match", tag)},
	}
}

func (c *contender) request(ctx context.Context) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, http.NoBody)
	if err != nil {
		return nil, err //nolint:wrapcheck // cannot happen
	}
	request.Header = c.header.Clone()
	return c.client.Do(request) //nolint:wrapcheck // it has the request
}

func (c *contender) once(b *testing.B) (*http.Response, []byte) {
	b.Helper()
	response, err := c.request(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%s: %d, %v", c.url, response.StatusCode, err)
	}
	return response, body
}

// send sends requests of several clients for one turn.
func (c *contender) send(b *testing.B, clients int) {
	b.Helper()
	begun := time.Now()
	var group errgroup.Group
	for range clients {
		group.Go(func() error {
			for time.Since(begun) < turn {
				response, err := c.request(b.Context())
				if err != nil {
					return err
				}
				n, err := io.Copy(io.Discard, response.Body)
				if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
					return fmt.Errorf("%s: %d: %w", c.name, response.StatusCode, err)
				}
				c.answers.Add(1)
				c.bytes.Add(n)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	c.spent += time.Since(begun)
}

func (c *contender) rate() float64 { return float64(c.answers.Load()) / c.spent.Seconds() }

func reportRates(b *testing.B, contenders []*contender) {
	b.Helper()
	limit, kube := contenders[0], contenders[1]
	for _, c := range contenders {
		b.ReportMetric(c.rate(), c.name+"/s")
		if c != limit && c != kube {
			b.ReportMetric(c.rate()/limit.rate(), c.name+"-limit-ratio")
			b.ReportMetric(c.rate()/kube.rate(), c.name+"-kube-ratio")
		}
	}
	b.ReportMetric(float64(contenders[3].bytes.Load()/contenders[3].answers.Load())/(1<<20), "answer-MiB")
	b.ReportMetric(float64(contenders[4].bytes.Load()/contenders[4].answers.Load())/(1<<20), "gzip-MiB")
}

// spread makes Pods in many namespaces.
func spread(b *testing.B) []string {
	b.Helper()
	set().HostCluster(b, host)
	var namespaces []string
	for range crowdedNamespaces {
		namespaces = append(namespaces, set().Namespace(b, "spread"))
	}
	for _, ns := range namespaces {
		set().Pod(b, ns, "first") // the namespace has its ServiceAccount then
	}
	var group errgroup.Group
	group.SetLimit(16)
	for i := range manyPods - crowdedNamespaces {
		group.Go(func() error {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: namespaces[i%crowdedNamespaces], Name: fmt.Sprintf("pod-%03d", i/crowdedNamespaces),
					Labels: map[string]string{"app": fmt.Sprintf("app-%d", i%100),
						"pod-template-hash": "5d4f8c7b9"},
					Annotations: map[string]string{"example.com/note": strings.Repeat("x", 500)},
				},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "main", Image: "registry.example.com/team/app:1.2.3",
					Args: []string{"--listen=:8080", "--log-format=json"},
					Env: []corev1.EnvVar{{Name: "A", Value: strings.Repeat("a", 50)},
						{Name: "B", Value: strings.Repeat("b", 50)}},
				}}},
			}
			return set().Client.Create(b.Context(), pod) //nolint:wrapcheck // it has the request
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return namespaces
}
