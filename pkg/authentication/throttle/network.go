// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"net/netip"
	"slices"
)

// Network is a network that contains an address. Clients is the number of clients as which it counts.
type Network struct {
	Prefix  netip.Prefix
	Clients int
}

// Prefix lengths of counted networks. A customer has at least an IPv6 /64, and often a /56 or a /48. Each network
// counts as four of the next smaller ones.
const (
	clientBits6, siteBits6, providerBits6 = 64, 56, 48
	clientBits4, providerBits4            = 32, 24

	clientsOfClient, clientsOfSite, clientsOfProvider = 1, 4, 16
)

// normalize returns the address without its zone, and as IPv4 if it is an IPv4-mapped address.
func normalize(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// ClientNetwork returns the network of one client: an IPv4 address, or an IPv6 /64. It is invalid if the address is
// invalid.
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

// CountedPrefixes returns the counted networks of an address, the largest first.
func CountedPrefixes(address netip.Addr) []netip.Prefix {
	networks := CountedNetworks(address)
	out := make([]netip.Prefix, 0, len(networks))
	for _, n := range slices.Backward(networks) {
		out = append(out, n.Prefix)
	}
	return out
}

// CountedNetworks returns the networks of an address for which failures and requests are counted, the smallest first:
// the /32 for IPv4, and the /64, /56 and /48 for IPv6, because a provider may assign any of these to one customer. It
// returns nil for an invalid address.
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

// queuedNetworks returns the networks that share turns fairly: the counted networks and, for IPv4, the network of the
// neighbouring addresses.
func queuedNetworks(address netip.Addr) []Network {
	networks := CountedNetworks(address)
	if address = normalize(address); address.Is4() {
		networks = append(networks, Network{netip.PrefixFrom(address, providerBits4).Masked(), clientsOfSite})
	}
	return networks
}
