// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

// Class says how well the server knows a client. Each Class has its own queue. Clients of the class Stranger also have
// a separate limit of concurrent attempts, so that a flood of their logins does not block other clients.
type Class int

// Values of Class.
const (
	// Stranger is a client about which nothing is known.
	Stranger Class = iota
	// KnownAddress is a client with the same address as a client that is logged in (see
	// sessionindex.Index.HasSessionFrom).
	KnownAddress
	// TrustedNetwork is a client in a network that a flag declares as trusted.
	TrustedNetwork
	// KnownDevice is a client with a device token of an earlier login of the user, or a logged-in client that enters
	// its password again.
	KnownDevice

	classes
)

// Limits of the attempts that wait in the queue of one Class. The sum for all classes must be smaller than the server's
// limit of mutating requests in flight. Otherwise, waiting attempts would block other mutating requests.
const (
	// waitingStrangers is the maximum number of waiting attempts of unknown clients, which have the class Stranger.
	waitingStrangers = 80
	// waitingKnown is the maximum number of waiting attempts of each class of known clients, such as KnownDevice.
	waitingKnown = 24
)

// maxWaiting returns the maximum number of waiting attempts of the class.
func (c Class) maxWaiting() int {
	if c == Stranger {
		return waitingStrangers
	}
	return waitingKnown
}
