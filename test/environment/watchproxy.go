// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// WatchProxy is a proxy for the API server of a cluster. It can break the watches of the read cache without affecting
// access reviews and the watches of RBAC objects. It can also end all connections.
type WatchProxy struct {
	server *httptest.Server
	ca     []byte

	mu       sync.Mutex
	broken   func(*http.Request) bool
	requests map[*http.Request]context.CancelFunc
	// lists is the number of list requests from the read cache, by resource.
	lists map[string]int
	// reviews is the number of SelfSubjectAccessReviews that KubeVision has sent on behalf of users.
	reviews int
	// lag is the delay of the watch events that the proxy forwards to the read cache.
	lag time.Duration
	// mended is closed by Mend. It is nil unless the proxy hangs.
	mended chan struct{}
}

// NewWatchProxy starts a proxy for the API server of a client configuration.
func NewWatchProxy(config *rest.Config) (*WatchProxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the API server: %w", err)
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	if err != nil {
		return nil, fmt.Errorf("creating a transport: %w", err)
	}
	authority, err := localcluster.NewAuthority("watch-proxy")
	if err != nil {
		return nil, fmt.Errorf("creating an authority: %w", err)
	}
	serving, err := authority.IssueServing("127.0.0.1")
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(serving.CertPEM, serving.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	p := &WatchProxy{
		ca: authority.CertPEM, requests: map[*http.Request]context.CancelFunc{}, lists: map[string]int{},
		broken: func(*http.Request) bool { return false },
	}
	next := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewUnstartedServer(p.handler(ReadBodies(next)))
	p.server.EnableHTTP2 = true
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	p.server.StartTLS()
	return p, nil
}

// Through returns the client configuration with the address of the proxy.
func (p *WatchProxy) Through(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Host, config.CAData = p.server.URL, p.ca
	return config
}

// Break ends the watches of the read cache, and rejects new watches until Mend is called.
func (p *WatchProxy) Break() { p.end(isWatchOfReadCache) }

// Cut ends all requests, and rejects new requests until Mend is called.
func (p *WatchProxy) Cut() { p.end(func(*http.Request) bool { return true }) }

// Hang ends all requests, and does not respond to new requests until Mend is called.
func (p *WatchProxy) Hang() {
	p.mu.Lock()
	p.mended = make(chan struct{})
	p.mu.Unlock()
	p.Cut()
}

// Mend makes the proxy accept all requests again after Break, Cut or Hang.
func (p *WatchProxy) Mend() {
	p.end(func(*http.Request) bool { return false })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mended != nil {
		close(p.mended)
		p.mended = nil
	}
}

func (p *WatchProxy) end(broken func(*http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = broken
	for r, cancel := range p.requests {
		if broken(r) {
			cancel()
		}
	}
}

// Delay sets the delay of the watch events that the proxy forwards to the read cache. The delay applies only to watches
// that begin after the call.
func (p *WatchProxy) Delay(lag time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lag = lag
}

// delayed returns a writer that delays the response to a watch of the read cache.
func (p *WatchProxy) delayed(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lag == 0 || !isWatchOfReadCache(r) {
		return w
	}
	return delayedWriter{w, p.lag}
}

type delayedWriter struct {
	http.ResponseWriter
	lag time.Duration
}

// Write implements http.ResponseWriter. It first waits for the time lag.
func (w delayedWriter) Write(data []byte) (int, error) {
	time.Sleep(w.lag)
	return w.ResponseWriter.Write(data)
}

// Unwrap returns the inner writer for http.ResponseController.
func (w delayedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Lists returns how many times the read cache has requested a list of a resource.
func (p *WatchProxy) Lists(resource string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lists[resource]
}

// Close stops the proxy. The caller should stop the clients first, because Close may block while clients send new
// requests.
func (p *WatchProxy) Close() {
	p.Mend() // ends requests that hang
	p.Cut()
	p.server.CloseClientConnections()
	p.server.Close()
}

// Reviews returns the number of SelfSubjectAccessReviews that KubeVision has sent on behalf of users.
func (p *WatchProxy) Reviews() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reviews
}

func (p *WatchProxy) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		if !p.enter(r, cancel) {
			p.waitForMend(ctx)
			panic(http.ErrAbortHandler)
		}
		defer p.leave(r)
		next.ServeHTTP(p.delayed(w, r), r.WithContext(ctx))
	})
}

// waitForMend blocks until Mend is called or ctx ends. It returns at once unless Hang was called before.
func (p *WatchProxy) waitForMend(ctx context.Context) {
	p.mu.Lock()
	mended := p.mended
	p.mu.Unlock()
	if mended == nil {
		return
	}
	select {
	case <-mended:
	case <-ctx.Done():
	}
}

func (p *WatchProxy) enter(r *http.Request, cancel context.CancelFunc) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken(r) {
		return false
	}
	p.requests[r] = cancel
	if isFromReadCache(r) && r.URL.Query().Get("watch") != "true" {
		p.lists[path.Base(r.URL.Path)]++
	}
	if path.Base(r.URL.Path) == "selfsubjectaccessreviews" && r.Header.Get("Impersonate-User") != "" {
		p.reviews++
	}
	return true
}

func (p *WatchProxy) leave(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.requests, r)
}

func isWatchOfReadCache(r *http.Request) bool {
	return r.URL.Query().Get("watch") == "true" && isFromReadCache(r)
}

// isFromReadCache returns true if the read cache has sent the request. It returns false for requests for RBAC objects,
// because another part of KubeVision sends them with the same ServiceAccount.
func isFromReadCache(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/apis/rbac.authorization.k8s.io/") {
		return false
	}
	parts := strings.Split(r.Header.Get("Authorization"), ".")
	if len(parts) != 3 { //nolint:mnd // the segments of a token
		return false
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	var token struct {
		Subject string `json:"sub"`
	}
	return err == nil && json.Unmarshal(claims, &token) == nil && strings.HasSuffix(token.Subject, ":kubevision-reader")
}

// StartAPIServerThrough starts a replica of kubevision-apiserver that calls the kube-apiserver of the host cluster
// through a proxy. Port 0 means a free port.
func (e *Environment) StartAPIServerThrough(
	ctx context.Context, proxy *WatchProxy, port int, args ...string,
) (*localcluster.APIServer, error) {
	config, err := e.Cluster.ServiceAccountConfig(ctx, localcluster.Namespace, "kubevision-apiserver")
	if err != nil {
		return nil, fmt.Errorf("getting a token: %w", err)
	}
	kubeconfig := filepath.Join(e.dir, "watch-proxy.kubeconfig")
	if err := localcluster.WriteKubeconfig(proxy.Through(config), kubeconfig); err != nil {
		return nil, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	server, err := e.KubeVision.StartAPIServer(ctx, port, append([]string{"--kubeconfig=" + kubeconfig}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("starting a replica: %w", err)
	}
	return server, nil
}

const (
	// brokenTime is the duration of each interruption of the read cache's watches. The cached objects become stale
	// during an interruption.
	brokenTime = 3 * time.Second
	// mendedTime is the time between two interruptions of the read cache's watches.
	mendedTime = time.Second
)

// makeStale restarts kubevision-apiserver behind a proxy. It starts a goroutine that repeatedly breaks the watches of
// the read cache, until stop is called.
func (e *Environment) makeStale(ctx context.Context) (stop func(), err error) {
	proxy, err := NewWatchProxy(e.Cluster.AnonymousConfig())
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(e.KubeVision.Endpoint())
	if err != nil {
		return nil, fmt.Errorf("reading the address of kubevision-apiserver: %w", err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		return nil, fmt.Errorf("reading the port of kubevision-apiserver: %w", err)
	}
	if err := e.KubeVision.APIServer().Stop(); err != nil {
		return nil, fmt.Errorf("stopping kubevision-apiserver: %w", err)
	}
	if _, err := e.StartAPIServerThrough(ctx, proxy, port); err != nil {
		return nil, errors.Join(err, e.KubeVision.Stop())
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			for _, phase := range []struct {
				begin    func()
				duration time.Duration
			}{{proxy.Mend, mendedTime}, {proxy.Break, brokenTime}} {
				phase.begin()
				select {
				case <-time.After(phase.duration):
				case <-done:
					return
				}
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
		proxy.Close()
	}, nil
}
