// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

// Class describes how well a client is known. Each class has a separate queue. Strangers cannot use all places, so that
// a flood of strangers does not lock out known clients.
type Class int

// Values of Class.
const (
	// Stranger is an unknown client.
	Stranger Class = iota
	// KnownAddress is a client at an address from which a user is logged in.
	KnownAddress
	// TrustedNetwork is a client in a network that the administrator trusts.
	TrustedNetwork
	// KnownDevice is a client that is logged in, or that has logged in to the account before.
	KnownDevice

	classes
)

// Bounds of the waiting attempts of strangers, and of each other class. Their sum is smaller than the number of
// mutating requests that the server accepts at once, so that full queues do not block other requests.
const (
	waitingStrangers = 80
	waitingKnown     = 24
)

// maxWaiting returns the bound of the queue of a class.
func (c Class) maxWaiting() int {
	if c == Stranger {
		return waitingStrangers
	}
	return waitingKnown
}
