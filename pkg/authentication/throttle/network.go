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

// Prefix lengths of the networks for which attempts are limited. A limit for single addresses is not sufficient,
// because an Internet provider assigns a whole IPv6 network to each customer.
const (
	// clientBits6 is the prefix length of an IPv6 network that counts as one client. It is the smallest network that an
	// Internet provider assigns to a customer.
	clientBits6 = 64
	// siteBits6 is the prefix length of an IPv6 network that an Internet provider often assigns to a site, such as a
	// home.
	siteBits6 = 56
	// largeSiteBits6 is the prefix length of the largest IPv6 network that an Internet provider usually assigns to a
	// customer.
	largeSiteBits6 = 48
	// clientBits4 is the prefix length of a single IPv4 address. Each IPv4 address counts as one client.
	clientBits4 = 32
	// siteBits4 is the prefix length of an IPv4 network that may belong to a site, such as a company.
	siteBits4 = 24
)

// Assumed numbers of clients in networks of different sizes. The limits of a network with n clients are n times the
// limits of one client.
const (
	// singleClient is the assumed number of clients that share an IPv4 address or an IPv6 /64.
	singleClient = 1
	// clientsOfSite is the assumed number of clients in an IPv4 /24 or an IPv6 /56, the usual network of a site.
	clientsOfSite = 4
	// clientsOfLargeSite is the assumed number of clients in an IPv6 /48. The limits of one client are multiplied by
	// this number. The number is small, because a whole /48 may belong to one customer of an Internet provider.
	clientsOfLargeSite = 16
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

// CountedPrefixes returns the prefixes of the networks to which the address belongs, the largest network first. It
// omits networks for which failed attempts are not counted. For IPv4, it returns the /32. For IPv6, it returns the /48,
// the /56 and the /64. For an invalid address, it returns no prefix.
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
		return []Network{{ClientNetwork(address), singleClient}}
	}
	return []Network{
		{ClientNetwork(address), singleClient},
		{netip.PrefixFrom(address, siteBits6).Masked(), clientsOfSite},
		{netip.PrefixFrom(address, largeSiteBits6).Masked(), clientsOfLargeSite},
	}
}

// queuedNetworks returns the networks that contain the address and have a share in the capacity of the fair queue. For
// IPv4, these are the /32 and the /24. For IPv6, these are the /64, the /56 and the /48.
func queuedNetworks(address netip.Addr) []Network {
	networks := CountedNetworks(address)
	// The failures of an IPv4 /24 are not counted, but its waiting attempts share capacity.
	if address = normalize(address); address.Is4() {
		networks = append(networks, Network{netip.PrefixFrom(address, siteBits4).Masked(), clientsOfSite})
	}
	return networks
}
