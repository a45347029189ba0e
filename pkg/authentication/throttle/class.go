// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

// Class says how well the server knows a client. Each Class has its own queue. Clients of the class Stranger also have
// a separate limit of concurrent attempts, so that a flood of their logins does not block other clients.
type Class int

// Values of Class, and their number.
const (
	// Stranger is the Class of clients about which nothing is known.
	Stranger Class = iota
	// KnownAddress is the Class of clients with the same IPv4 address or IPv6 /64 as the client of an existing session.
	KnownAddress
	// TrustedNetwork is the Class of clients in the networks of the flag --trusted-login-networks.
	TrustedNetwork
	// KnownDevice is the Class of clients with a device token of an earlier login of the user. It also applies to
	// logged-in clients that enter the password again.
	KnownDevice

	// classes is the number of values of Class.
	classes
)

// Limits of the attempts that wait in the queue of one Class. The sum for all classes must be smaller than the server's
// limit of mutating requests in flight. Otherwise, waiting attempts would block other mutating requests.
const (
	// waitingStrangers is the maximum number of waiting attempts of the class Stranger.
	waitingStrangers = 80
	// waitingKnown is the maximum number of waiting attempts of one class of known clients: KnownAddress,
	// TrustedNetwork or KnownDevice.
	waitingKnown = 24
)

// maxWaiting returns the maximum number of waiting attempts of the class.
func (c Class) maxWaiting() int {
	if c == Stranger {
		return waitingStrangers
	}
	return waitingKnown
}
