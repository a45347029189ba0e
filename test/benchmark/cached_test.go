// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	readers = 8
	// largeBytes is a size in bytes. If a response is larger, BenchmarkCachedList runs with fewer clients.
	largeBytes        = 16 << 20
	firstListPatience = 2 * time.Minute
)

// BenchmarkCachedList compares how fast several servers respond to the same reads, and prints a table of the results.
// The compared servers are:
//
//   - kubevision-apiserver, with and without its read cache
//   - kube-apiserver
//   - a plain file server with the same response, which shows the highest rate that can be expected
func BenchmarkCachedList(b *testing.B) {
	set().HostCluster(b, host)
	r := newPodReaders(b)
	out := newTable()
	b.Cleanup(out.print)
	for _, objects := range []int{manyPods, *crowdSize} {
		if objects == 0 {
			continue
		}
		namespace := r.fill(b, objects)
		b.Run(strconv.Itoa(objects), func(b *testing.B) { r.measure(b, out, namespace, objects) })
	}
}

// podReaders is a group of users who read the same Pods.
type podReaders struct {
	users     []fixture.User
	tokens    []string
	pods      int
	namespace string
}

func newPodReaders(b *testing.B) *podReaders {
	b.Helper()
	r := &podReaders{}
	for range readers {
		r.users = append(r.users, set().User(b, "reader"))
	}
	set().Bind(b, "reader", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(r.users...),
		Cluster: host})
	return r
}

// question is a read request that all compared servers can answer.
type question struct {
	name, path, kube string
}

func (r *podReaders) measure(b *testing.B, out *table, namespace string, objects int) {
	b.Helper()
	b.Run("first-list", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(r.restart(b).Seconds(), "first-list-s")
		}
		b.ReportMetric(readMemory(b, env.KubeVision.APIServer().PID()).peak, "peak-MiB")
	})
	forgetPeak(b, env.KubeVision.APIServer().PID())
	for _, q := range []question{
		{"pod", "/namespaces/" + namespace + "/resources/pods/pod-00001", "/api/v1/namespaces/" + namespace +
			"/pods/pod-00001"},
		{"namespace", "/namespaces/" + namespace + "/resources/pods", "/api/v1/namespaces/" + namespace + "/pods"},
		{"all", "/resources/pods", "/api/v1/pods"},
	} {
		b.Run(q.name, func(b *testing.B) { r.ask(b, out, q, objects) })
	}
	b.Run("views", func(b *testing.B) { r.views(b, out, objects) })
	for _, source := range []string{"", "?source=live"} {
		b.Run("parallel"+strings.TrimPrefix(source, "?source="), func(b *testing.B) { r.parallel(b, source) })
	}
}

// restart restarts the server, and returns the duration of the first list of all Pods.
func (r *podReaders) restart(b *testing.B) time.Duration {
	b.Helper()
	if err := env.KubeVision.APIServer().RestartWith(b.Context(), "--read-cache-bytes=536870912"); err != nil {
		b.Fatal(err)
	}
	forgetPeak(b, env.KubeVision.APIServer().PID())
	r.logIn(b)
	c := r.directContender(b, "first", "/resources/pods", "")
	var took time.Duration
	// The server connects to clusters when it starts.
	err := localcluster.Poll(b.Context(), firstListPatience, "list Pods", func(ctx context.Context) error {
		var refused bool
		var err error
		took = timed(func() {
			var response *http.Response
			if response, err = c.open(ctx, 0); err == nil { //nolint:bodyclose // readResponse closes it
				refused, _, err = readResponse(response)
			}
		})
		if refused {
			err = errors.New("refused")
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return took
}

// logIn logs all users in again, because access tokens expire after some minutes.
func (r *podReaders) logIn(b *testing.B) {
	b.Helper()
	client := direct(b)
	r.tokens = nil
	for _, u := range r.users {
		r.tokens = append(r.tokens, u.Login(b, client, wire.DirectPath).AccessToken)
	}
}

// directContender returns kubevision-apiserver as one of the compared servers. The clients connect to
// kubevision-apiserver directly, and not through kube-apiserver.
func (r *podReaders) directContender(b *testing.B, name, path, tag string, more ...string) *contender {
	b.Helper()
	c := &contender{
		name: name, tls: &tls.Config{RootCAs: authority(b)},
		url:  env.KubeVision.Endpoint() + wire.DirectPath + "/clusters/" + host + path,
		pids: []int{env.KubeVision.APIServer().PID()},
	}
	if tag != "" {
		more = append(more, "If-None-Match", tag)
	}
	for _, token := range r.tokens {
		h := http.Header{"Authorization": {"Bearer " + token}}
		for i := 0; i+1 < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		c.headers = append(c.headers, h)
	}
	return c
}

func authority(b *testing.B) *x509.CertPool {
	b.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(env.KubeVision.CAPEM()) {
		b.Fatal("no authority")
	}
	return roots
}

// contenders returns the compared servers for the read request q. The first server is Go's file server, and the second
// server is kube-apiserver.
func (r *podReaders) contenders(b *testing.B, q question) []*contender {
	b.Helper()
	r.logIn(b)
	live := r.directContender(b, "live", q.path+"?source=live", "")
	cached := r.directContender(b, "cached", q.path, "")
	body, tag := r.fromCache(b, cached)
	insecure := &tls.Config{InsecureSkipVerify: true}
	limit := &contender{name: "limit", tls: insecure}
	var pid int
	limit.url, pid = startFileServer(b, body)
	limit.pids = []int{pid}
	unchanged := r.directContender(b, "unchanged", q.path, tag)
	unchanged.headers = unchanged.headers[:1] // the entity tag is from a response to this user
	kube := kubeContender(b, "kube", q.kube, http.Header{"Accept-Encoding": {"identity"}})
	door := kubeContender(b, "other door", wire.GroupPath+"/clusters/"+host+q.path, nil)
	door.pids = append(door.pids, cached.pids...)
	for _, h := range cached.headers {
		door.headers = append(door.headers,
			http.Header{wire.TokenHeader: {strings.TrimPrefix(h.Get("Authorization"), "Bearer ")}})
	}
	all := []*contender{limit, kube, live, cached, unchanged, door}
	if q.name != "pod" {
		all = append(all, r.directContender(b, "gzip", q.path, "", "Accept-Encoding", "gzip"),
			r.directContender(b, "live table", q.path+"?view=table", ""),
			kubeContender(b, "kube gzip", q.kube, http.Header{"Accept-Encoding": {"gzip"}}))
	}
	wanted := regexp.MustCompile(*answerPattern)
	return append(all[:2], slices.DeleteFunc(all[2:], func(c *contender) bool {
		return !wanted.MatchString(c.name)
	})...)
}

func kubeContender(b *testing.B, name, path string, header http.Header) *contender {
	b.Helper()
	config := env.Cluster.Config()
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		b.Fatal(err)
	}
	settings.NextProtos = nil // the same protocol as the other contenders
	c := &contender{name: name, tls: settings, url: config.Host + path,
		pids: []int{env.Cluster.APIServer().PID()}}
	if header != nil {
		c.headers = []http.Header{header}
	}
	return c
}

// fromCache returns a body from the cache, and its entity tag. It retries, because the first response may come from the
// cluster.
func (r *podReaders) fromCache(b *testing.B, c *contender) (body []byte, tag string) {
	b.Helper()
	fixture.Eventually(b, "be answered from the cache", func(ctx context.Context) error {
		response, err := c.open(ctx, 0)
		if err != nil {
			return err
		}
		body, err = io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if end := string(body[max(0, len(body)-400):]); !strings.Contains(end, `"source":"cache"`) {
			return fmt.Errorf("the answer ends with %s", end)
		}
		tag = response.Header.Get("ETag")
		return nil
	})
	return body, tag
}

func (r *podReaders) ask(b *testing.B, out *table, q question, objects int) {
	b.Helper()
	all := r.contenders(b, q)
	_, n, err := readResponse(must(b)(all[0].open(b.Context(), 0))) //nolint:bodyclose // readResponse closes it
	if err != nil {
		b.Fatal(err)
	}
	counts := []int{1, 8, 64}
	switch {
	case n > largeBytes:
		counts = counts[:2]
	case objects > manyPods && q.name != "all":
		counts = counts[1:2]
	}
	for _, clients := range counts {
		b.Run(fmt.Sprintf("%d-clients", clients), func(b *testing.B) {
			for _, c := range all {
				c.took, c.bytes, c.refused, c.spent, c.cpu = nil, 0, 0, 0, 0
			}
			for b.Loop() {
				for range *rounds {
					for _, c := range all {
						c.send(b, clients)
					}
				}
			}
			b.ReportMetric(0, "ns/op") // the duration is fixed
			out.add(measurement{objects: objects, question: q.name, clients: clients}, all)
			reportRatios(b, all)
		})
	}
}

// views measures responses that are computed from the cached metadata.
func (r *podReaders) views(b *testing.B, out *table, objects int) {
	b.Helper()
	r.logIn(b)
	all := []*contender{
		r.directContender(b, "overview", "/overview", ""),
		r.directContender(b, "search", "/search?q=pod-00042&types=pods", ""),
		r.directContender(b, "sorted", "/resources/pods?sortBy=age&limit=100", ""),
		r.directContender(b, "page", "/resources/pods?limit=100", ""),
		r.directContender(b, "found", "/resources/pods?q=pod-00042&limit=100", ""),
	}
	for b.Loop() {
		for range *rounds {
			for _, c := range all {
				c.send(b, 1)
			}
		}
	}
	b.ReportMetric(0, "ns/op") // the duration is fixed
	for _, c := range all {
		b.ReportMetric(milliseconds(c.took.percentile(99)), c.name+"-p99-ms")
	}
	memory := readMemory(b, env.KubeVision.APIServer().PID()) // after the load of all reads
	b.ReportMetric(memory.resident, "resident-MiB")
	b.ReportMetric(memory.peak, "peak-MiB")
	out.add(measurement{objects: objects, question: "views", clients: 1}, all)
}

// parallel measures the peak memory of kubevision-apiserver while one user sends many list requests at once.
func (r *podReaders) parallel(b *testing.B, source string) {
	b.Helper()
	const atOnce = 48
	pid := env.KubeVision.APIServer().PID()
	r.logIn(b)
	c := r.directContender(b, "parallel", "/resources/pods"+source, "")
	c.headers = c.headers[:1]
	forgetPeak(b, pid)
	for b.Loop() {
		var group errgroup.Group
		for range atOnce {
			group.Go(func() error { return c.once(b.Context(), 0) })
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(readMemory(b, pid).peak, "peak-MiB")
	b.ReportMetric(share(c.refused, c.refused+len(c.took)), "refused")
}

func reportRatios(b *testing.B, all []*contender) {
	b.Helper()
	limit, kube := all[0], all[1]
	for _, c := range all[2:] {
		name := strings.ReplaceAll(c.name, " ", "-")
		b.ReportMetric(c.rate(), name+"/s")
		b.ReportMetric(c.rate()/limit.rate(), name+"-limit-ratio")
		b.ReportMetric(c.rate()/kube.rate(), name+"-kube-ratio")
	}
}

func must(b *testing.B) func(*http.Response, error) *http.Response {
	b.Helper()
	return func(response *http.Response, err error) *http.Response {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return response
	}
}
