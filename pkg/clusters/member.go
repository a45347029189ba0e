// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

const (
	handshakeTimeout = 5 * time.Second
	// pingAfter is the time without a frame after which the server sends an HTTP/2 ping. pingTimeout bounds the wait
	// for the reply.
	pingAfter   = 10 * time.Second
	pingTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
	// maxHeaderBytes bounds the headers of a response. API servers send at most 4 KiB of warnings.
	maxHeaderBytes = 64 << 10
)

// Member is a cluster that is registered by kubeconfig. It dials on first use, and only addresses that the policy
// allows.
type Member struct {
	// Config contains the address and the certificate authorities of the cluster, but no credential.
	Config *rest.Config
	// Registered authenticates with the credential of the kubeconfig. It must not be used for requests of users.
	Registered *http.Client

	anonymous http.RoundTripper
	// dialed opens the connections of anonymous.
	dialed  *http.Transport
	closers []func()
	dialer  *dialer
	limits  Limits
	// share counts the memory of cached objects. It is nil if objects of the member must not be cached.
	share *share
}

// NewMember prepares the connections to a cluster. It calls exceeded, and stops reading, if the member exceeds its
// limits or must release memory for other members.
func NewMember(k *kubeconfig.Kubeconfig, policy addresspolicy.Policy, limits Limits, exceeded func()) (*Member, error) {
	full := k.Config()
	m := &Member{
		Config: rest.AnonymousClientConfig(full), dialer: newDialer(policy), limits: limits,
	}
	if limits.Kept > 0 {
		m.share = limits.Pool.join(limits.Kept, limits.Registered, exceeded)
	}
	m.Config.QPS = -1 // Priority and fairness of the cluster distribute requests better than a client-side queue.
	m.Config.Timeout = callTimeout
	if err := m.prepare(full); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Member) prepare(full *rest.Config) error {
	var err error
	if m.anonymous, m.dialed, err = m.transport(m.Config); err != nil {
		return err
	}
	// A client certificate belongs to a connection, so requests of users need a transport without it.
	registered, _, err := m.transport(full)
	if err != nil {
		return err
	}
	authenticated, err := rest.HTTPWrappersForConfig(&rest.Config{BearerToken: full.BearerToken}, guarded(registered))
	if err != nil {
		return fmt.Errorf("creating a transport: %w", err)
	}
	m.Registered = &http.Client{Transport: authenticated, CheckRedirect: refuseRedirect}
	return nil
}

// transport returns a transport to the cluster, and its innermost transport, which opens the connections.
func (m *Member) transport(config *rest.Config) (http.RoundTripper, *http.Transport, error) {
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("creating a TLS configuration: %w", err)
	}
	http2 := windows()
	t := &http.Transport{
		DialContext: m.dialer.dial, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: handshakeTimeout,
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   idleTimeout, MaxResponseHeaderBytes: maxHeaderBytes, HTTP2: &http2,
		Proxy: nil, // With a proxy, the address policy would not see the address of the cluster.
	}
	m.closers = append(m.closers, t.CloseIdleConnections)
	// The user agent is visible in the audit log of the cluster.
	named := transport.NewUserAgentRoundTripper(rest.DefaultKubernetesUserAgent(), t)
	safe := http.RoundTripper(&response.Transport{Next: named})
	if m.share == nil {
		return &boundedRoundTripper{next: safe, timeout: callTimeout, bytes: m.limits.Response}, t, nil
	}
	// A watch has no end. The meter bounds its events.
	counted := &meter{next: safe, response: m.limits.Response, share: m.share}
	return &boundedRoundTripper{next: counted, timeout: callTimeout, bytes: math.MaxInt64 - 1}, t, nil
}

// guarded adds the limit of requests in flight and the circuit breaker. They also apply to token requests.
func guarded(next http.RoundTripper) http.RoundTripper {
	return newLimited(maxAtOnce, newBreaker(clock.RealClock{}, maxPause, next))
}

// MarkSynced records that the initial lists are complete. Later objects are charged as changes.
func (m *Member) MarkSynced() {
	if m.share != nil {
		m.share.markSynced()
	}
}

// Close closes every connection and ends the requests on them. Later requests fail.
func (m *Member) Close() {
	if m.share != nil {
		m.share.stop()
	}
	m.dialer.close()
	for _, c := range m.closers {
		c()
	}
}

// Release releases the memory of the member. It must be called after Close, when all cached objects have been dropped.
func (m *Member) Release() {
	if m.share != nil {
		m.share.leave()
	}
}
