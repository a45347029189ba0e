// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

// Class is how well a client is known. Each class has waiting places of its own, and strangers leave the others places to work in, so that
// no flood of strangers closes the login for those who are known.
type Class int

// The classes.
const (
	// Stranger is anybody.
	Stranger Class = iota
	// KnownAddress is a client at an address from which somebody is logged in.
	KnownAddress
	// TrustedNetwork is a client in a network that was named.
	TrustedNetwork
	// KnownDevice is a client that has logged in to the account before, or that is logged in.
	KnownDevice

	classes
)

// These attempts wait at most: of strangers, and of each other class. All together are fewer than the writing requests
// that the server takes at a time, so that a full queue does not refuse the others.
const (
	waitingStrangers = 80
	waitingKnown     = 24
)

// maxWaiting is how many attempts of a class wait at most.
func (c Class) maxWaiting() int {
	if c == Stranger {
		return waitingStrangers
	}
	return waitingKnown
}
