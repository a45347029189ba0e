// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

var (
	watchClients = flag.Int("watchers", 1000, "the clients of BenchmarkWatch")
	watchTime    = flag.Duration("watch", 10*time.Second, "how long BenchmarkWatch changes Pods")
	idleClients  = flag.Int("idlers", 0, "the idle clients whose memory BenchmarkWatch measures, such as 10000")
)

const (
	changesPerSecond = 100
	changesAtOnce    = 8
	// measuredWatchers bounds the number of clients for which BenchmarkWatch measures the delays of events. The other
	// clients run in a separate process and discard their messages.
	measuredWatchers = 50
)

// BenchmarkWatch measures a server with many clients that watch 5,000 Pods. One client never reads its messages. The
// benchmark reports:
//   - the memory of the server
//   - the delays of events at the clients, relative to a direct watch of kube-apiserver
//   - for comparison, the p99 delay of a simple loop that sends as many bytes to as many clients (limit-p99-ms)
func BenchmarkWatch(b *testing.B) {
	set().HostCluster(b, host)
	r := newPodReaders(b)
	r.fill(b, manyPods)
	if err := env.KubeVision.APIServer().RestartWith(b.Context(), "--read-cache-bytes=268435456",
		"--streams-per-user=20000", "--streams=20000", "--connection-bytes=1073741824"); err != nil {
		b.Fatal(err)
	}
	r.logIn(b)
	pid := env.KubeVision.APIServer().PID()
	b.Run("idle", func(b *testing.B) { r.idle(b, pid) })
	for _, mode := range []string{"summaries", "objects"} {
		b.Run(mode, func(b *testing.B) { r.follow(b, mode, pid) })
	}
}

// idle reports the memory that the server needs for each connected client that watches nothing. Some clients connect
// before the measurement, because the first clients also cause allocations that later clients do not cause.
func (r *podReaders) idle(b *testing.B, pid int) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	n := max(*idleClients, *watchClients)
	r.aside(b, n/10, "") //nolint:mnd // sufficient
	before := settledMemory(b, pid)
	r.aside(b, n, "")
	b.ReportMetric((settledMemory(b, pid)-before)*1024/float64(n), "KiB/client")
}

// settledMemory returns the resident memory of a process in MiB. It waits until the value is stable, at most one
// minute, because the Go runtime returns unused memory to the system with a delay.
func settledMemory(b *testing.B, pid int) float64 {
	b.Helper()
	const patience, interval, tolerance = time.Minute, 5 * time.Second, 0.5
	last := readMemory(b, pid).resident
	for begun := time.Now(); time.Since(begun) < patience; {
		time.Sleep(interval)
		now := readMemory(b, pid).resident
		if now > last-tolerance && now < last+tolerance {
			return now
		}
		last = now
	}
	return last
}

func closeSockets(all []*websocket.Conn) {
	for _, conn := range all {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// arrivals contains the times at which changes of Pods arrived at a direct watch of kube-apiserver. The keys are
// resource versions.
type arrivals struct {
	mu    sync.RWMutex
	times map[string]time.Time
}

func (a *arrivals) get(version string) (time.Time, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	at, ok := a.times[version]
	return at, ok
}

func watchDirectly(b *testing.B) *arrivals {
	b.Helper()
	kube, err := kubernetes.NewForConfig(env.Cluster.Config())
	if err != nil {
		b.Fatal(err)
	}
	w, err := kube.CoreV1().Pods("").Watch(b.Context(), metav1.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Stop)
	a := &arrivals{times: map[string]time.Time{}}
	go func() {
		for e := range w.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				a.mu.Lock()
				a.times[pod.ResourceVersion] = time.Now()
				a.mu.Unlock()
			}
		}
	}()
	return a
}

func (r *podReaders) follow(b *testing.B, mode string, pid int) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	a := watchDirectly(b)
	message := fmt.Sprintf(`{"action":"subscribe","topics":["%s:pods"],"summary":%t}`, host, mode == "summaries")
	clients := r.watchers(b, min(1+measuredWatchers, *watchClients), message)
	defer closeSockets(clients)
	r.aside(b, *watchClients-len(clients), message)
	forgetPeak(b, pid)
	measured := clients[1:]
	took, received := readAll(measured, a, func() { changePods(b, *watchTime) })
	memory := readMemory(b, pid)
	b.ReportMetric(milliseconds(took.percentile(50)), "p50-ms")
	b.ReportMetric(milliseconds(took.percentile(99)), "p99-ms")
	b.ReportMetric(memory.resident, "resident-MiB")
	b.ReportMetric(memory.peak, "peak-MiB")
	b.ReportMetric(float64(len(took))/float64(len(measured))/watchTime.Seconds(), "events/s/client")
	limit := bareWatch(b, received/len(measured))
	b.ReportMetric(milliseconds(limit.percentile(99)), "limit-p99-ms")
}

func readAll(clients []*websocket.Conn, a *arrivals, run func()) (took durations, received int) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, conn := range clients {
		group.Go(func() {
			mine, bytesRead := readEvents(conn, a)
			mu.Lock()
			defer mu.Unlock()
			took, received = append(took, mine...), received+bytesRead
		})
	}
	run()
	time.Sleep(time.Second)
	closeSockets(clients)
	group.Wait()
	return took, received
}

// readEvents reads events until the connection is closed. took contains the delays of the events, compared with a
// direct watch of kube-apiserver. received is the number of received bytes.
func readEvents(conn *websocket.Conn, a *arrivals) (took durations, received int) {
	marker := []byte(`"resourceVersion":"`)
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return took, received
		}
		now := time.Now()
		received += len(message)
		for line := range bytes.SplitSeq(message, []byte{'\n'}) {
			_, rest, ok := bytes.Cut(line, marker)
			if !ok {
				continue
			}
			version, _, _ := bytes.Cut(rest, []byte{'"'})
			if at, ok := a.get(string(version)); ok {
				took = append(took, now.Sub(at))
			} else { // the event arrived here before it arrived at the direct watch
				took = append(took, 0)
			}
		}
	}
}

// changePods changes Pods for the given time, at a constant rate. If too many changes are in progress, changePods skips
// the next change. Otherwise, kube-apiserver would repeat concurrent changes of one Pod, and would be overloaded.
func changePods(b *testing.B, length time.Duration) {
	b.Helper()
	var pods corev1.PodList
	if err := env.Client.List(b.Context(), &pods, client.Limit(10*changesPerSecond)); err != nil {
		b.Fatal(err)
	}
	ticker := time.NewTicker(time.Second / changesPerSecond)
	defer ticker.Stop()
	var group errgroup.Group
	group.SetLimit(changesAtOnce)
	end := time.Now().Add(length)
	for i := 0; time.Now().Before(end); i++ {
		<-ticker.C
		pod := &pods.Items[i%len(pods.Items)]
		// The value differs from the values of earlier runs, because an equal value would not change the Pod.
		value := fmt.Sprintf("%d-%d", end.UnixNano(), i)
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"%s":%q}}}`, benchmarkLabel, value)
		group.TryGo(func() error {
			target := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
			change := client.RawPatch("application/merge-patch+json", patch)
			return env.Client.Patch(b.Context(), target, change)
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// bareWatch measures a lower bound for the delays of a watch. A simple loop writes messages to many clients over TLS,
// ten times per second. All messages to one client have bytesPerClient bytes in total.
func bareWatch(b *testing.B, bytesPerClient int) durations {
	b.Helper()
	const rate = 10
	rounds := int(watchTime.Seconds() * rate)
	message := bytes.Repeat([]byte("x"), max(bytesPerClient/max(rounds, 1), 32))
	var mu sync.Mutex
	var conns []*websocket.Conn
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		mu.Lock()
		conns = append(conns, conn)
		mu.Unlock()
	}))
	defer server.Close()
	settings := &tls.Config{InsecureSkipVerify: true}
	dialer := websocket.Dialer{TLSClientConfig: settings}
	var began time.Time
	var took durations
	var group sync.WaitGroup
	for range *watchClients {
		conn, answer, err := dialer.DialContext(b.Context(), "wss"+strings.TrimPrefix(server.URL, "https"), nil)
		if err != nil {
			b.Fatal(err)
		}
		_ = answer.Body.Close()
		group.Go(func() {
			defer func() { _ = conn.Close() }()
			for range rounds {
				if _, _, err := conn.ReadMessage(); err != nil {
					return
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	fixture.Eventually(b, "wait for all connections", func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if len(conns) < *watchClients {
			return fmt.Errorf("%d connections", len(conns))
		}
		return nil
	})
	for range rounds {
		next := time.Now().Add(time.Second / rate)
		mu.Lock()
		began = time.Now()
		mu.Unlock()
		for _, conn := range conns {
			_ = conn.WriteMessage(websocket.TextMessage, message)
		}
		time.Sleep(time.Until(next))
	}
	group.Wait()
	return took
}
