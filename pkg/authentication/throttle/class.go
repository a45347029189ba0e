// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

// Class says how well the server knows a client. Each Class has its own queue, and clients of the class Stranger have a
// separate limit of concurrent attempts, so that a flood of their logins does not block other clients.
type Class int

// Values of Class.
const (
	// Stranger is a client about which nothing is known.
	Stranger Class = iota
	// KnownAddress is a client with an address from which a user is logged in.
	KnownAddress
	// TrustedNetwork is a client in a network that a flag declares as trusted.
	TrustedNetwork
	// KnownDevice is a client with a session, or from which the user has logged in before.
	KnownDevice

	classes
)

// Maximum numbers of waiting attempts: of the class Stranger, and of each other class. Their sum is smaller than the
// number of concurrent mutating requests that the server accepts, so that full queues do not block other requests.
const (
	waitingStrangers = 80
	waitingKnown     = 24
)

// maxWaiting returns the maximum number of waiting attempts of the class.
func (c Class) maxWaiting() int {
	if c == Stranger {
		return waitingStrangers
	}
	return waitingKnown
}
