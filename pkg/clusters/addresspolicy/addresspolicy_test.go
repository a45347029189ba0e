// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package addresspolicy

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/spf13/pflag"
)

func policy(t *testing.T, args ...string) Policy {
	t.Helper()
	var f Flags
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	p, err := f.Policy()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCheck verifies that the default policy:
//   - denies loopback, link-local and multicast addresses
//   - denies the addresses of metadata services in clouds
//   - denies IPv6 addresses that contain a denied IPv4 address
//   - allows the addresses of private networks
func TestCheck(t *testing.T) {
	p := policy(t)
	for _, refused := range []string{
		"127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0",
		"::ffff:127.0.0.1",
		"::ffff:169.254.169.254", "224.0.0.1", "255.255.255.255", "ff02::1", "fd00:ec2::254", "64:ff9b::7f00:1",
		"64:ff9b::a9fe:a9fe",
		"64:ff9b:1::7f00:1", "2002:7f00:1::", "100.100.100.200",
	} {
		if err := p.Check(netip.MustParseAddr(refused)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want it to be refused", refused, err)
		}
	}
	for _, allowed := range []string{"10.0.0.1", "192.168.1.1", "172.16.0.1", "203.0.113.7", "2001:db8::1", "fd12::1",
		"64:ff9b::cb00:7107"} {
		if err := p.Check(netip.MustParseAddr(allowed)); err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
}

// TestCheckAllowed verifies the flags of a policy:
//   - The flag --cluster-addresses-denied replaces the default networks.
//   - The flag --cluster-addresses-allowed exempts only the addresses of the given network.
//   - An IP address without a prefix length is not a valid network.
func TestCheckAllowed(t *testing.T) {
	p := policy(t, "--cluster-addresses-denied=10.0.0.0/8,127.0.0.0/8", "--cluster-addresses-allowed=10.1.0.0/16")
	for address, want := range map[string]error{"10.1.2.3": nil, "10.2.2.3": ErrRefused, "127.0.0.1": ErrRefused,
		"169.254.169.254": nil} {
		if err := p.Check(netip.MustParseAddr(address)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	if _, err := (&Flags{denied: []string{"10.0.0.1"}}).Policy(); err == nil {
		t.Error("an address without a length was taken for a network")
	}
}

// TestDial verifies that Policy.Dial rejects a host name if the policy denies the IP address of the name. It also
// verifies that Dial rejects Unix sockets.
func TestDial(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("localhost", port)
	if _, err := policy(t).Dial(t.Context(), "tcp", address); !errors.Is(err, ErrRefused) {
		t.Errorf("localhost: %v, want it to be refused", err)
	}
	c, err := policy(t, "--cluster-addresses-allowed=127.0.0.0/8").Dial(t.Context(), "tcp4", address)
	if err != nil {
		t.Fatalf("where it is allowed: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := policy(t).Dial(t.Context(), "unix", "/var/run/docker.sock"); !errors.Is(err, ErrRefused) {
		t.Errorf("a socket: %v, want it to be refused", err)
	}
}

// TestCheckServer verifies that Policy.CheckServer, which performs no DNS lookup, denies:
//   - a loopback address in any notation, such as 127.1 or 0x7f000001
//   - localhost
//   - the API server of the cluster in which KubeVision runs
func TestCheckServer(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	p := policy(t).WithHost("https://192.0.2.10:6443").WithHost("https://API.host.example/x")
	for _, refused := range []string{
		"127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "127.1.",
		"[::1]", "[::ffff:127.0.0.1]",
		"[64:ff9b::7f00:1]", "[64:ff9b:1:7f00:0:100::]", "[::127.0.0.1]", "0", "0.0", "0xa9fea9fe",
		"169.254.169.254:80", "localhost", "LOCALHOST.",
		"a.localhost:6443", "localhost.localdomain", "10.96.0.1", "10.96.0.1:6443", "[::ffff:10.96.0.1]", "0x0a600001",
		"192.0.2.10:6443",
		"kubernetes.default.svc", "kubernetes:443", "api.host.example", "api.host.example.:443", "224.0.0.1",
	} {
		if err := p.CheckServer(refused); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want it to be refused", refused, err)
		}
	}
	for _, allowed := range []string{
		"192.0.2.10:7443", "10.96.0.2", "api.host.example:6443", "member.example", "kubernetes.example",
		"[2001:db8::1]:6443", "127.example", "1.2.3.4.5",
	} {
		if err := p.CheckServer(allowed); err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
	excepted := policy(t, "--cluster-addresses-allowed=10.96.0.1/32,127.0.0.0/8")
	for _, allowed := range []string{"10.96.0.1", "localhost", "127.1"} {
		if err := excepted.CheckServer(allowed); err != nil {
			t.Errorf("%s, which is allowed: %v", allowed, err)
		}
	}
}

// TestOwnAddresses verifies that --cluster-addresses-denied=self denies all addresses of the local network interfaces.
// Without the value self, the addresses are allowed.
func TestOwnAddresses(t *testing.T) {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		own, err := netip.ParsePrefix(i.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := policy(t, "--cluster-addresses-denied=self").Check(own.Addr()); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want it to be refused", own, err)
		}
		if err := policy(t, "--cluster-addresses-denied=203.0.113.0/24").Check(own.Addr()); err != nil {
			t.Errorf("%s, which is not denied: %v", own, err)
		}
	}
}
