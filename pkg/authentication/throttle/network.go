// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"net/netip"
	"slices"
)

// Network is a network that contains the address of a client.
type Network struct {
	Prefix netip.Prefix
	// Clients is the assumed number of clients in the network. The limits for one client are multiplied by Clients.
	Clients int
}

// Prefix lengths of the networks whose attempts are limited. An Internet provider assigns at least an IPv6 /64 to a
// customer, and often a /56 or a /48.
const (
	// clientBits6 is the prefix length of the smallest IPv6 network of a customer.
	clientBits6 = 64
	// siteBits6 is the prefix length of a medium IPv6 network of a customer.
	siteBits6 = 56
	// providerBits6 is the prefix length of the largest usual IPv6 network of a customer.
	providerBits6 = 48
	// clientBits4 is the prefix length of a single IPv4 address.
	clientBits4 = 32
	// providerBits4 is the prefix length of an IPv4 network whose waiting attempts share capacity. The failures from
	// such a network are not counted.
	providerBits4 = 24
)

// Assumed numbers of clients in networks. The limits for one client are multiplied by these numbers.
const (
	// clientsOfClient is the assumed number of clients in an IPv4 /32 or an IPv6 /64.
	clientsOfClient = 1
	// clientsOfSite is the assumed number of clients in an IPv4 /24 or an IPv6 /56.
	clientsOfSite = 4
	// clientsOfProvider is the assumed number of clients in an IPv6 /48.
	clientsOfProvider = 16
)

// normalize removes the zone of an address, and converts an IPv4-mapped IPv6 address to IPv4.
func normalize(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// ClientNetwork returns the network that counts as one client: the IPv4 address as a /32, or the IPv6 /64. It returns
// an invalid prefix for an invalid address.
func ClientNetwork(address netip.Addr) netip.Prefix {
	address = normalize(address)
	bits := clientBits4
	if address.Is6() {
		bits = clientBits6
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// CountedPrefixes returns the networks that contain the address and whose failures are counted, the largest network
// first. For IPv4, it returns the /32. For IPv6, it returns the /48, the /56 and the /64. It returns no network for an
// invalid address.
func CountedPrefixes(address netip.Addr) []netip.Prefix {
	networks := CountedNetworks(address)
	out := make([]netip.Prefix, 0, len(networks))
	for _, n := range slices.Backward(networks) {
		out = append(out, n.Prefix)
	}
	return out
}

// CountedNetworks returns the networks for which failures are counted and that contain the address. The smallest
// network comes first. For IPv4, it returns the /32. For IPv6, it returns the /64, the /56 and the /48, because a
// provider may assign any of these to one customer. It returns nil for an invalid address.
func CountedNetworks(address netip.Addr) []Network {
	address = normalize(address)
	if !address.IsValid() {
		return nil
	}
	if address.Is4() {
		return []Network{{ClientNetwork(address), clientsOfClient}}
	}
	return []Network{
		{ClientNetwork(address), clientsOfClient},
		{netip.PrefixFrom(address, siteBits6).Masked(), clientsOfSite},
		{netip.PrefixFrom(address, providerBits6).Masked(), clientsOfProvider},
	}
}

// queuedNetworks returns the networks that contain the address and have a share in the capacity of the fair queue. For
// IPv4, these are the /32 and the /24. For IPv6, these are the /64, the /56 and the /48.
func queuedNetworks(address netip.Addr) []Network {
	networks := CountedNetworks(address)
	if address = normalize(address); address.Is4() {
		networks = append(networks, Network{netip.PrefixFrom(address, providerBits4).Masked(), clientsOfSite})
	}
	return networks
}
