// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package addresspolicy

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	httpsPort = "443"
	// lookupTimeout bounds the DNS lookup of the name of the host cluster's API server.
	lookupTimeout = time.Second
)

// endpoint is a host name or IP address of the host cluster's API server, with a port. The port distinguishes this API
// server from API servers of other clusters at the same address. An empty port stands for all ports of the address.
type endpoint struct{ name, port string }

// WithHost returns a copy of p that also treats the given URL as an address of the host cluster's API server. If
// p.DenyHost is true, the copy denies connections to this address. WithHost ignores an invalid URL.
func (p Policy) WithHost(server string) Policy {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return p
	}
	port := u.Port()
	if port == "" {
		port = httpsPort
	}
	return p.withEndpoint(endpoint{name: u.Hostname(), port: port})
}

func (p Policy) withService(clusterIP string) Policy {
	if clusterIP == "" {
		return p
	}
	return p.withEndpoint(endpoint{name: clusterIP}) // all ports belong to the host cluster's API server
}

func (p Policy) withEndpoint(e endpoint) Policy {
	p.hosts = append(slices.Clone(p.hosts), e)
	return p
}

// CheckServer returns ErrRefused if the policy denies the address, which is a host or host:port. It performs no DNS
// lookup. It recognizes IP addresses in any notation, localhost, and the names of the host cluster's API server.
func (p Policy) CheckServer(address string) error {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		name, port = strings.Trim(address, "[]"), httpsPort
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ErrRefused
	}
	if parsed, ok := parse(name); ok {
		return p.check(netip.AddrPortFrom(parsed, uint16(number)), nil)
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || name == "localhost.localdomain" {
		return p.Check(loopback)
	}
	service := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local"}
	isHost := func(e endpoint) bool { return strings.EqualFold(e.name, name) && (e.port == "" || e.port == port) }
	if p.DenyHost && (slices.Contains(service, name) || slices.ContainsFunc(p.hosts, isHost)) {
		return ErrRefused
	}
	return nil
}

// parse parses an IP address in the notations that the C resolver accepts: an IPv4 address may have fewer than four
// parts, and each part may be octal or hexadecimal. It returns false for other texts.
func parse(text string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(text); err == nil {
		return address, true
	}
	const most = 4
	parts := strings.Split(strings.TrimSuffix(text, "."), ".")
	if len(parts) > most {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (most - i) // the last part fills the remaining bytes
		}
		if strings.ContainsAny(part, "_oObB") && !strings.HasPrefix(strings.ToLower(part), "0x") {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 0, bits)
		if err != nil {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// lookUp resolves the host names of the host cluster's API server to IP addresses and ports. It skips names that cannot
// be resolved.
func (p Policy) lookUp(ctx context.Context) []netip.AddrPort {
	var out []netip.AddrPort
	for _, e := range p.hosts {
		if _, err := netip.ParseAddr(e.name); err == nil || !p.DenyHost {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", e.name)
		cancel()
		number, badPort := strconv.ParseUint(e.port, 10, 16)
		if err != nil || badPort != nil { // the name cannot be resolved, or has no port
			continue
		}
		for _, address := range found {
			out = append(out, netip.AddrPortFrom(address.Unmap().WithZone(""), uint16(number)))
		}
	}
	return out
}

func (p Policy) isHostAPIServer(address netip.Addr, port uint16, resolvedAddresses []netip.AddrPort) bool {
	if !p.DenyHost {
		return false
	}
	// The port 0 means all ports.
	if slices.ContainsFunc(resolvedAddresses, func(a netip.AddrPort) bool {
		return a.Addr() == address &&
			(port == 0 || a.Port() == port)
	}) {
		return true
	}
	return slices.ContainsFunc(p.hosts, func(e endpoint) bool {
		at, err := netip.ParseAddr(e.name)
		return err == nil && at.Unmap() == address && (e.port == "" || port == 0 || e.port == strconv.Itoa(int(port)))
	})
}
