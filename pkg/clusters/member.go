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
	// pingAfter is the time without a received frame after which an HTTP/2 connection sends a ping.
	pingAfter = 10 * time.Second
	// pingTimeout is the time after which an HTTP/2 connection is closed if no reply to a ping has arrived.
	pingTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
	// maxHeaderBytes bounds the headers of a response, in bytes. API servers send much smaller headers. For example,
	// they send at most 4 KiB of warnings.
	maxHeaderBytes = 64 << 10
)

// Member contains the transports to a member cluster: a cluster that is registered with a kubeconfig. It opens
// connections on first use, and only to addresses that the policy allows.
type Member struct {
	// Config contains the address and the certificate authorities of the cluster, but no credential.
	Config *rest.Config
	// Registered is an HTTP client that authenticates with the credential of the kubeconfig. It must not send requests
	// of users.
	Registered *http.Client

	// anonymous is a transport that adds no credential to requests.
	anonymous http.RoundTripper
	// dialTransport opens the connections for requests of users. Connections for terminals and port forwarding also use
	// the dial function and the TLS configuration of this Transport.
	dialTransport *http.Transport
	closers       []func()
	dialer        *dialer
	limits        Limits
	// share counts the memory of the objects that are cached from the cluster. It is nil if this memory is not
	// counted.
	share *share
}

// NewMember returns a Member for the cluster of the kubeconfig. The Member calls onExceeded once if it disconnects the
// cluster because of the limits.
func NewMember(
	k *kubeconfig.Kubeconfig, policy addresspolicy.Policy, limits Limits, onExceeded func(),
) (*Member, error) {
	full := k.Config()
	m := &Member{
		Config: rest.AnonymousClientConfig(full), dialer: newDialer(policy), limits: limits,
	}
	if limits.Kept > 0 {
		m.share = limits.Pool.join(limits.Kept, limits.Registered, onExceeded)
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
	if m.anonymous, m.dialTransport, err = m.transport(m.Config); err != nil {
		return err
	}
	// A client certificate authenticates all requests on its connections. Requests of users must not use the credential
	// of the kubeconfig, so they need a transport without the certificate.
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

// transport returns a round tripper that uses the TLS configuration in config. It also returns the innermost
// http.Transport of the round tripper.
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
	// The whole response has no limit, because a watch has no end. Instead, the meter bounds each list and each event
	// of a watch.
	counted := &meter{next: safe, response: m.limits.Response, share: m.share}
	return &boundedRoundTripper{next: counted, timeout: callTimeout, bytes: math.MaxInt64 - 1}, t, nil
}

// guarded adds a circuit breaker to a transport, and a limit of maxAtOnce requests in flight.
func guarded(next http.RoundTripper) http.RoundTripper {
	return newLimited(maxAtOnce, newBreaker(clock.RealClock{}, maxPause, next))
}

// MarkSynced records that the informers of the cluster have received their initial lists. Memory that is counted after
// this call is attributed to changes of objects. If changes need too much memory, the cluster with the most changes may
// be disconnected.
func (m *Member) MarkSynced() {
	if m.share != nil {
		m.share.markSynced()
	}
}

// Close closes all connections to the cluster and ends the requests on them. Later requests fail.
func (m *Member) Close() {
	if m.share != nil {
		m.share.stop()
	}
	m.dialer.close()
	for _, c := range m.closers {
		c()
	}
}

// Release subtracts the memory of the cached objects from the Pool. It must be called after Close, when the objects are
// no longer in a cache.
func (m *Member) Release() {
	if m.share != nil {
		m.share.leave()
	}
}
