// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package addresspolicy restricts the IP addresses to which KubeVision opens connections. The user who registers a
// cluster chooses the address of its API server. Without the restriction, this user could make KubeVision send requests
// to servers that only KubeVision can reach.
package addresspolicy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

const (
	// timeout bounds the time to establish a TCP connection. It is long enough for one retransmission of the SYN
	// packet, after 1 s.
	timeout = 1800 * time.Millisecond
	// keepAlive is the time between two probes of an idle connection.
	keepAlive = 30 * time.Second
)

// ErrRefused is returned for an address that the policy denies.
var ErrRefused = errors.New("the address is not allowed")

// Policy determines to which addresses connections may be opened.
type Policy struct {
	// Denied contains the networks to which no connections may be opened.
	Denied []netip.Prefix
	// Allowed contains the networks to which connections may be opened even if another field denies them.
	Allowed []netip.Prefix
	// DenySelf is true if no connections to the network interfaces of this process may be opened.
	DenySelf bool
	// DenyHost is true if no connections to the host cluster's API server may be opened with a kubeconfig. In this
	// case, the host cluster can be registered only with spec.inCluster. The Policy does not restrict KubeVision's own
	// connection to the host cluster.
	DenyHost bool

	hosts []endpoint
}

// Values of --cluster-addresses-denied that are not in CIDR notation.
const (
	// self is a value of the flag --cluster-addresses-denied. It denies the addresses of this process.
	self = "self"
	// host is a value of the flag --cluster-addresses-denied. It denies the addresses of the host cluster's API server.
	host = "host"
)

// defaultDenied returns the default of --cluster-addresses-denied: the addresses of this process and of the host
// cluster's API server, loopback and link-local addresses, the metadata services of clouds, and addresses that are not
// unicast.
func defaultDenied() []string {
	return []string{
		self, host, "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32",
		"::/128", "::1/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128",
	}
}

// translated returns the IPv6 networks whose addresses contain an IPv4 address: NAT64 (RFC 6052, RFC 8215), 6to4 (RFC
// 3056) and IPv4-compatible addresses. Each value is the byte offset of the IPv4 address in the IPv6 address.
func translated() map[netip.Prefix]int {
	return map[netip.Prefix]int{
		netip.MustParsePrefix("64:ff9b::/96"):   12,
		netip.MustParsePrefix("64:ff9b:1::/48"): 12,
		netip.MustParsePrefix("2002::/16"):      2,
		netip.MustParsePrefix("::/96"):          12, // IPv4-compatible (RFC 4291)
	}
}

// Flags contains the values of the flags from which a Policy is created.
type Flags struct {
	denied, allowed []string
}

// AddFlags registers the flags in fs.
func (f *Flags) AddFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&f.denied, "cluster-addresses-denied", defaultDenied(),
		"Networks (CIDR) in which no cluster may be registered. \"self\" means the program's own addresses, "+
			"\"host\" the API server of the host cluster. Add the networks of Pods and Services that users must not "+
			"reach.")
	fs.StringSliceVar(&f.allowed, "cluster-addresses-allowed", nil,
		"Networks (CIDR) in which clusters may be registered, as exceptions to --cluster-addresses-denied.")
}

// Policy returns the policy of the flags. It returns an error if a value is not a network in CIDR notation.
func (f *Flags) Policy() (Policy, error) {
	named := func(value string) bool { return value == self || value == host }
	denied, err := ParseNetworks(slices.DeleteFunc(slices.Clone(f.denied), named))
	if err != nil {
		return Policy{}, fmt.Errorf("--cluster-addresses-denied: %w", err)
	}
	allowed, err := ParseNetworks(f.allowed)
	if err != nil {
		return Policy{}, fmt.Errorf("--cluster-addresses-allowed: %w", err)
	}
	p := Policy{Denied: denied, Allowed: allowed, DenySelf: slices.Contains(f.denied, self),
		DenyHost: slices.Contains(f.denied, host)}
	return p.withService(os.Getenv("KUBERNETES_SERVICE_HOST")), nil
}

// ParseNetworks parses networks in CIDR notation. It returns an error for the first value that is invalid.
func ParseNetworks(values []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, v := range values {
		p, err := netip.ParsePrefix(v)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network in CIDR notation", v)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Check returns nil if the policy allows connections to all ports of the address. If the policy denies at least one
// port, Check returns ErrRefused.
func (p Policy) Check(address netip.Addr) error {
	return p.check(netip.AddrPortFrom(address, 0), nil)
}

func (p Policy) check(to netip.AddrPort, looked []netip.AddrPort) error {
	refused := false
	for _, address := range embeddedAddresses(to.Addr()) {
		contains := func(n netip.Prefix) bool { return n.Contains(address) }
		if slices.ContainsFunc(p.Allowed, contains) {
			continue
		}
		refused = refused || slices.ContainsFunc(p.Denied, contains) ||
			p.isHostAPIServer(address, to.Port(), looked) || (p.DenySelf && isOwnAddress(address))
	}
	if refused {
		return ErrRefused
	}
	return nil
}

// embeddedAddresses returns the IPv4 addresses that are embedded in an IPv6 address, or the address itself if there are
// none.
func embeddedAddresses(address netip.Addr) []netip.Addr {
	address = address.Unmap().WithZone("")
	for network, at := range translated() {
		if network.Contains(address) && !address.IsLoopback() && !address.IsUnspecified() {
			inside := address.As16()
			out := []netip.Addr{netip.AddrFrom4([4]byte(inside[at : at+4]))}
			if network.Bits() == 48 { // RFC 6052 skips the eighth byte
				out = append(out, netip.AddrFrom4([4]byte{inside[6], inside[7], inside[9], inside[10]}))
			}
			return out
		}
	}
	return []netip.Addr{address}
}

// isOwnAddress returns true for an address of the network interfaces of this process. It also returns true if the
// interfaces cannot be listed.
func isOwnAddress(address netip.Addr) bool {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		network, err := netip.ParsePrefix(a.String())
		return err == nil && network.Addr().Unmap().WithZone("") == address
	})
}

// Dial opens a TCP connection to a host and port. It returns ErrRefused if the policy denies the address. Dial resolves
// the name only once, and checks the resulting IP address immediately before it connects. A second lookup could return
// a denied address that was never checked (DNS rebinding).
func (p Policy) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, ErrRefused
	}
	if err := p.CheckServer(address); err != nil {
		return nil, err
	}
	looked := p.lookUp(ctx)
	d := &net.Dialer{Timeout: timeout, KeepAlive: keepAlive, Control: func(_, to string, _ syscall.RawConn) error {
		parsed, err := netip.ParseAddrPort(to)
		if err != nil {
			return ErrRefused
		}
		return p.check(parsed, looked)
	}}
	return d.DialContext(ctx, network, address)
}
