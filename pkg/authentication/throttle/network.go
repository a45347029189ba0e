// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"net/netip"
	"slices"
)

// Network is one that an address belongs to. It is counted as so many clients.
type Network struct {
	Prefix  netip.Prefix
	Clients int
}

// These are the prefix lengths of networks. A customer has an IPv6 /64 at least, and often a /56 or a /48. Each counts
// for four of the next smaller ones.
const (
	clientBits6, siteBits6, providerBits6 = 64, 56, 48
	clientBits4, providerBits4            = 32, 24

	clientsOfClient, clientsOfSite, clientsOfProvider = 1, 4, 16
)

// clean returns the address without its zone, and as IPv4 if it is an IPv4-mapped address.
func clean(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// NetworkOf returns the network of one client: the IPv4 address itself, or the IPv6 /64. It is invalid if the address
// is invalid.
func NetworkOf(address netip.Addr) netip.Prefix {
	address = clean(address)
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

// PrefixesOf returns the networks that an address is counted with, the largest one first.
func PrefixesOf(address netip.Addr) []netip.Prefix {
	networks := NetworksOf(address)
	out := make([]netip.Prefix, 0, len(networks))
	for _, n := range slices.Backward(networks) {
		out = append(out, n.Prefix)
	}
	return out
}

// NetworksOf returns the networks whose failures are counted: of IPv6 those that one customer may have.
func NetworksOf(address netip.Addr) []Network {
	address = clean(address)
	if !address.IsValid() {
		return nil
	}
	if address.Is4() {
		return []Network{{NetworkOf(address), clientsOfClient}}
	}
	return []Network{
		{NetworkOf(address), clientsOfClient},
		{netip.PrefixFrom(address, siteBits6).Masked(), clientsOfSite},
		{netip.PrefixFrom(address, providerBits6).Masked(), clientsOfProvider},
	}
}

// queued are the networks that take turns: those that are counted, and the neighbours of IPv4.
func queued(address netip.Addr) []Network {
	networks := NetworksOf(address)
	if address = clean(address); address.Is4() {
		networks = append(networks, Network{netip.PrefixFrom(address, providerBits4).Masked(), clientsOfSite})
	}
	return networks
}
