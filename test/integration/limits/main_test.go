// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limits floods the real programs under the memory limits of config/, and looks at the most that they have held.
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
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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
	for name, value := range map[string]string{"GOMEMLIMIT": memoryLimit(), "GOGC": "100"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(environment.Main(m, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

func manifest() string {
	root, err := localcluster.ModuleRoot()
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "apiserver", "deployment.yaml"))
	if err != nil {
		panic(err)
	}
	return string(text)
}

// memoryLimit is GOMEMLIMIT as config/ sets it.
func memoryLimit() string {
	found := regexp.MustCompile(`name: GOMEMLIMIT\n\s+value: (\S+)`).FindStringSubmatch(manifest())
	if found == nil {
		panic("config/ sets no GOMEMLIMIT")
	}
	return found[1]
}

// containerLimit is what the container may hold, in MiB.
func containerLimit(t *testing.T) float64 {
	t.Helper()
	found := regexp.MustCompile(`limits:\n\s+memory: (\d+)Gi`).FindStringSubmatch(manifest())
	if found == nil {
		t.Fatal("config/ sets no limit")
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * 1024
}

// replica is an API server of a test's own, with flags as they are by default.
func replica(t *testing.T) *localcluster.APIServer {
	t.Helper()
	r, err := env.KubeVision.StartAPIServer(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	return r
}

// peak is the most that a process has held, in MiB.
func peak(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatalf("the program has ended: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	kibibytes, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 64)
	if err != nil {
		t.Fatal(err)
	}
	return kibibytes / 1024
}

// survives fails where the program holds more than a part of its limit, or has ended.
func survives(t *testing.T, r *localcluster.APIServer, most float64) {
	t.Helper()
	got := peak(t, r.PID())
	t.Logf("the largest resident memory was %.0f MiB of %.0f", got, containerLimit(t))
	if got > most {
		t.Errorf("the program held %.0f MiB, want at most %.0f", got, most)
	}
}

// client speaks HTTP/2 over one connection.
func client(t *testing.T) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(env.KubeVision.CAPEM()) {
		t.Fatal("no certificate authority")
	}
	transport := &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, StrictMaxConcurrentStreams: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// flood sends requests again and again, so many at a time, and counts the codes of the answers.
func flood(t *testing.T, c *http.Client, atOnce int, request func(ctx context.Context) (*http.Request, error)) map[int]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), *duration)
	defer cancel()
	codes := map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for ctx.Err() == nil {
				r, err := request(ctx)
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

// noAnswer is counted where a request ended without one.
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
	set().Bind(t, role, fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(u), Cluster: host, Namespaces: namespaces})
	return u.Login(t, c, wire.DirectPath).AccessToken
}

func get(endpoint, path, bearer string) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+wire.DirectPath+path, http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("making a request: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+bearer)
		return r, nil
	}
}
