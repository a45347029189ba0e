// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// requestsPerSecond is the rate of requests of each loader.
	requestsPerSecond = 10
	objectCount       = 7
	// undisturbedTime is how long requests are sent before a disturbance, such as a killed process. After the
	// disturbance, requests are sent for the same time.
	undisturbedTime = 1500 * time.Millisecond

	clock = "15:04:05.0"
)

type loader struct {
	name    string
	client  *http.Client
	request func(ctx context.Context) (*http.Request, error)
}

type failure struct {
	loader, reason string
	// code is the code of the envelope, or 0 if the response is not an envelope.
	code     int
	at       time.Time
	duration time.Duration
	// wrongData is true if the response reports success, but contains wrong data.
	wrongData bool
}

type report struct {
	sent     int
	failures []failure
}

type load struct {
	loaders []loader
}

// newLoad creates ConfigMaps in both test clusters, and clients that list the ConfigMaps.
func newLoad(t *testing.T) load {
	t.Helper()
	all := doors(t)
	var out load
	name := fixture.Name("load")
	for _, c := range []*cluster{world.host, world.member} {
		c.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		for i := range objectCount {
			c.Create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
				Namespace: name, Name: fmt.Sprintf("object-%d", i), Labels: map[string]string{"load": "yes"},
			}})
		}
	}
	direct := &http.Transport{TLSClientConfig: world.host.clientTLSConfig(t), MaxIdleConnsPerHost: 32}
	settings, err := rest.TLSConfigFor(userConfig(t, "jane"))
	if err != nil {
		t.Fatal(err)
	}
	aggregated := &http.Transport{TLSClientConfig: settings, MaxIdleConnsPerHost: 32, ForceAttemptHTTP2: true}
	for _, each := range []struct {
		door      door
		transport *http.Transport
		cluster   string
		fresh     bool
	}{
		{all[0], direct, hostName, false},
		{all[0], direct, hostName, true},
		{all[1], aggregated, hostName, false},
		{all[1], aggregated, hostName, true},
		{all[0], direct, memberName, false},
	} {
		p := newPerson(t, each.door, "readonly")
		path := "/clusters/" + each.cluster + "/namespaces/" + name + "/resources/configmaps?labelSelector=load%3Dyes"
		transport := each.transport.Clone()
		transport.DisableKeepAlives = each.fresh
		base := serviceURL
		if each.door.usesTokenHeader {
			base = world.host.Config().Host
		}
		kind := "kept"
		if each.fresh {
			kind = "new"
		}
		out.loaders = append(out.loaders, loader{
			name:    each.door.name + " to " + each.cluster + ", " + kind + " connections",
			client:  &http.Client{Transport: transport, Timeout: 40 * time.Second},
			request: requests(base, p, path),
		})
	}
	eventually(t, "all loaders succeed", func(ctx context.Context) error {
		for _, l := range out.loaders {
			if f := l.send(ctx); f != nil {
				return fmt.Errorf("%s: %s", l.name, f.reason)
			}
		}
		return nil
	})
	return out
}

func requests(base string, p person, path string) func(context.Context) (*http.Request, error) {
	wanted := p.request(path)
	return func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+wanted.Path, http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("create a request: %w", err)
		}
		if wanted.Token != "" {
			r.Header.Set(wire.TokenHeader, wanted.Token)
		} else {
			r.Header.Set("Authorization", "Bearer "+wanted.Bearer)
		}
		return r, nil
	}
}

// send sends the request, and returns nil if the response is correct.
func (l loader) send(ctx context.Context) *failure {
	begun := time.Now()
	failed := func(code int, wrongData bool, format string, args ...any) *failure {
		return &failure{
			loader: l.name, reason: fmt.Sprintf(format, args...), code: code, wrongData: wrongData, at: time.Now(),
			duration: time.Since(begun),
		}
	}
	request, err := l.request(ctx)
	if err != nil {
		return failed(0, false, "%v", err)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return failed(0, false, "%v", errors.Unwrap(err))
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return failed(0, false, "%v", err)
	}
	var e struct {
		Code    *int
		Message string
		Data    json.RawMessage
	}
	var items []json.RawMessage
	switch err := json.Unmarshal(body, &e); {
	case err != nil || e.Code == nil || response.StatusCode != http.StatusOK:
		return failed(0, false, "HTTP %d: %.120s", response.StatusCode, body)
	case *e.Code != wire.OK:
		return failed(*e.Code, false, "code %d: %s", *e.Code, e.Message)
	case json.Unmarshal(e.Data, &items) != nil || len(items) != objectCount:
		return failed(0, true, "WRONG: %d objects", len(items))
	}
	return nil
}

// during sends requests while disturb runs, and shortly before and after. It then waits for all responses, and returns
// a report.
func (l load) during(t *testing.T, disturb func()) report {
	t.Helper()
	stop := make(chan struct{})
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		out report
	)
	for _, each := range l.loaders {
		wg.Go(func() {
			ticker := time.NewTicker(time.Second / requestsPerSecond)
			defer ticker.Stop()
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
				}
				wg.Go(func() {
					f := each.send(t.Context())
					mu.Lock()
					defer mu.Unlock()
					out.sent++
					if f != nil {
						out.failures = append(out.failures, *f)
					}
				})
			}
		})
	}
	time.Sleep(undisturbedTime)
	disturb()
	time.Sleep(undisturbedTime)
	close(stop)
	wg.Wait()
	return out
}

// print prints how often each error occurred, even if the test passes. It fails the test if a response had wrong data.
func (r report) print(t *testing.T) {
	t.Helper()
	fmt.Fprintf(os.Stderr, "%s: %d of %d requests failed\n", t.Name(), len(r.failures), r.sent)
	counts := map[string]int{}
	first, last := map[string]time.Time{}, map[string]time.Time{}
	for _, f := range r.failures {
		reason := f.loader + ": " + f.reason
		counts[reason]++
		if counts[reason] == 1 {
			first[reason] = f.at
		}
		last[reason] = f.at
		if f.wrongData {
			t.Errorf("%s: %s", f.loader, f.reason)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(os.Stderr, "  %5d times, %s to %s: %s\n", counts[reason], first[reason].Format(clock),
			last[reason].Format(clock), strings.ReplaceAll(reason, "\n", " "))
	}
}
