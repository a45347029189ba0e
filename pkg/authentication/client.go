// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"net/netip"
)

// Client is the origin of a request.
type Client struct {
	// Address is the address of the client. It is invalid if it cannot be determined.
	Address netip.Addr
	// UserAgent is the User-Agent header of the request.
	UserAgent string
	// DeviceToken is the token that an earlier login issued to the client. It may be empty.
	DeviceToken string
	// Trusted is true for an address in a network that the administrator trusts.
	Trusted bool
}

func (c Client) address() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}
