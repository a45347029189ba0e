// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limits measures the peak memory of kubevision-apiserver while clients send many expensive requests at once.
// The server runs with the memory limit that the manifests in config/ set.
package limits

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

const host = "host"

var (
	env      *environment.Environment
	duration = flag.Duration("flood", 10*time.Second, "how long each flood lasts")
)

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, environment.Options{ConfineMemory: true}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

func replica(t *testing.T, args ...string) *localcluster.APIServer {
	t.Helper()
	r, err := env.KubeVision.StartAPIServer(t.Context(), 0, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	return r
}

const mebibyte = 1 << 20

func peakMiB(t *testing.T, r *localcluster.APIServer) float64 {
	t.Helper()
	memory, err := localcluster.ReadMemory(r.PID())
	if err != nil {
		t.Fatalf("the program has ended: %v", err)
	}
	return float64(memory.Peak) / mebibyte
}

// survives fails the test if the server has exited. It also fails the test if the peak memory of the server exceeds
// maxMiB or the memory limit of the server.
func survives(t *testing.T, r *localcluster.APIServer, maxMiB float64) {
	t.Helper()
	limit := float64(r.MemoryLimit().Bytes) / mebibyte
	if limit == 0 {
		t.Error("the program runs without a limit")
	}
	got := peakMiB(t, r)
	t.Logf("the largest resident memory was %.0f MiB of %.0f", got, limit)
	if got > min(maxMiB, limit) {
		t.Errorf("the program held %.0f MiB, want at most %.0f", got, maxMiB)
	}
}

// client returns an HTTP/2 client with one connection.
func client(t *testing.T) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(env.KubeVision.CAPEM()) {
		t.Fatal("no certificate authority")
	}
	transport := &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		StrictMaxConcurrentStreams: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func flood(
	t *testing.T, c *http.Client, atOnce int, request func(ctx context.Context) (*http.Request, error),
) map[int]int {
	t.Helper()
	end := time.Now().Add(*duration)
	codes := map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for first := true; first || time.Now().Before(end); first = false {
				r, err := request(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				code := code(c, r)
				mu.Lock()
				codes[code]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("codes: %v", codes)
	return codes
}

const noAnswer = -1

var codeOf = regexp.MustCompile(`^\{"code":(\d+)`)

func code(c *http.Client, r *http.Request) int {
	response, err := c.Do(r)
	if err != nil {
		return noAnswer
	}
	defer func() { _ = response.Body.Close() }()
	head := make([]byte, 32)
	n, _ := io.ReadFull(response.Body, head)
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return noAnswer
	}
	found := codeOf.FindSubmatch(head[:n])
	if found == nil {
		return noAnswer
	}
	got, _ := strconv.Atoi(string(found[1]))
	return got
}

func token(t *testing.T, r *localcluster.APIServer, role string, namespaces ...string) string {
	t.Helper()
	set().HostCluster(t, host)
	c, err := wire.New(r.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	u := set().User(t, role)
	set().Bind(t, role, fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(u), Cluster: host,
		Namespaces: namespaces})
	return u.Login(t, c, wire.DirectPath).AccessToken
}

func get(endpoint, path, bearer string) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+wire.DirectPath+path, http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("creating a request: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+bearer)
		return r, nil
	}
}
