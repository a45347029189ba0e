// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/x509"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/authentication"
)

// clientFinder determines the IP address of the client of a request. It reads X-Forwarded-For only in requests from
// configured proxies and from kube-apiserver.
type clientFinder struct {
	proxies []netip.Prefix
	// trusted contains the networks of --trusted-login-networks.
	trusted    []netip.Prefix
	frontProxy authenticator.Request
}

func newClientFinder(proxies, trusted []netip.Prefix, c *authenticatorfactory.RequestHeaderConfig) *clientFinder {
	proven := authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{}, true, nil
	})
	return &clientFinder{proxies: proxies, trusted: trusted,
		frontProxy: x509.NewDynamicCAVerifier(c.CAContentProvider.VerifyOptions, proven, c.AllowedClientNames)}
}

func (f *clientFinder) find(r *http.Request) authentication.Client {
	address := f.address(r)
	return authentication.Client{
		Address: address, UserAgent: r.UserAgent(), DeviceToken: r.Header.Get(dashboardv1alpha1.DeviceHeader),
		Trusted: contains(f.trusted, address),
	}
}

// address returns the IP address of the client. Each proxy appends the address of its own client to X-Forwarded-For.
// This method therefore reads the header from its end, and stops at the first address that is not a trusted proxy.
func (f *clientFinder) address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap().WithZone("")
	trusted := f.isProxy(address) || f.isKubeAPIServer(r)
	if !trusted {
		return address
	}
	for hop := range hops(r.Header.Values("X-Forwarded-For")) {
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = before.Unmap().WithZone("")
		if !f.isProxy(address) {
			break
		}
	}
	return address
}

func (f *clientFinder) delegationLimit() filters.DelegationLimit {
	// Each delegated request, for example for /metrics, may cause a TokenReview and a SubjectAccessReview on the host
	// cluster. Without the limit, clients without rights could overload the host cluster.
	failures := authentication.NewRefusalLimiter()
	probes := []string{"/healthz", "/livez", "/readyz"}
	return func(r *http.Request) (done func(refused bool), ok bool) {
		isProven := r.TLS != nil && len(r.TLS.PeerCertificates) > 0
		isProbe := slices.Contains(probes, r.URL.Path) && r.Header.Get("Authorization") == "" && !isProven
		// Health probes cause no reviews, and kube-apiserver forwards the requests of many clients.
		if isProbe || isProven && f.isKubeAPIServer(r) {
			return func(bool) {}, true
		}
		return failures.Begin(f.address(r), time.Now())
	}
}

// hops returns an iterator over the addresses in X-Forwarded-For headers, from the last to the first.
func hops(values []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, value := range slices.Backward(values) {
			for more := true; more; {
				comma := strings.LastIndexByte(value, ',')
				if !yield(value[comma+1:]) {
					return
				}
				value, more = value[:max(comma, 0)], comma >= 0
			}
		}
	}
}

// isKubeAPIServer returns true if the client certificate of the connection proves that kube-apiserver has sent the
// request.
func (f *clientFinder) isKubeAPIServer(r *http.Request) bool {
	_, ok, err := f.frontProxy.AuthenticateRequest(r)
	return ok && err == nil
}

func (f *clientFinder) isProxy(address netip.Addr) bool {
	return contains(f.proxies, address)
}

func contains(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(address) })
}
