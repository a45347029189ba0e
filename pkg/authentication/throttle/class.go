// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

// Class tells how well a client is known. Each class has its own queue, and strangers leave some of the working places
// to the other classes, so that a flood of strangers cannot lock out known clients.
type Class int

// The classes.
const (
	// Stranger is any client.
	Stranger Class = iota
	// KnownAddress is a client at an address from which a user is logged in.
	KnownAddress
	// TrustedNetwork is a client in a network that the administrator trusts.
	TrustedNetwork
	// KnownDevice is a client that has logged in to the account before, or that is logged in.
	KnownDevice

	classes
)

// These constants bound the attempts that wait: those of strangers, and those of each other class. Together they are
// fewer than the mutating requests that the server accepts, so that full queues do not make it refuse others.
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
