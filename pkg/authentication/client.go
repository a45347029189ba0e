// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"net/netip"
)

// Client describes the client of a request.
type Client struct {
	// Address is the IP address of the client. It is invalid if the address is unknown.
	Address netip.Addr
	// UserAgent is the User-Agent header of the request.
	UserAgent string
	// DeviceToken is the device token that the client received at an earlier login, or empty.
	DeviceToken string
	// Trusted is true if the address is in a network of --trusted-login-networks.
	Trusted bool
}

func (c Client) address() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}
