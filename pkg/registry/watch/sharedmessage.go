// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// maxShared is the largest number of bytes of a message that clients share. Larger messages are encoded for each
	// client.
	maxShared = 128 << 10
	// sharedHolder is the name to which the memory of shared messages is charged. It cannot be the name of a user.
	sharedHolder = "shared messages of watches"
)

// messageKey identifies a message that the clients of a feed can share.
type messageKey struct {
	// cursor is the position in the feed of the clients that get the message. It is the sequence number of the last
	// entry before the message.
	cursor uint64
	// deliveries is the number of updates that the feed had received when the events of the message were read. With the
	// same number, the events were read from the same state of the feed.
	deliveries uint64
	// topic is the name of the topic. Each event contains parts of this name.
	topic topicName
}

// sharedMessage is the last message that was encoded for clients that may list all objects of a feed. Clients at the
// same position in the feed share the message, so that it is not encoded for each client.
type sharedMessage struct {
	mu   sync.Mutex
	key  messageKey
	last *heldMessage
}

// heldMessage is an encoded message that several clients hold. It must not be changed. Its memory is charged only once.
type heldMessage struct {
	bytes   []byte
	account *budget.Account
	holders int
}

// get returns the message for key. It calls encode() only if the last message has another key. The caller must call
// release() after the message was sent. size is the approximate size of the message in bytes. The message uses the
// memory budget of account. However, its size is charged to sharedHolder instead of a user, because clients of several
// users can share the message. If the memory budget does not allow the message, get returns budget.ErrExceeded.
func (s *sharedMessage) get(
	key messageKey, account *budget.Account, size int64, encode func() []byte,
) (message []byte, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.last
	if held == nil || s.key != key {
		held = &heldMessage{account: account.ForHolder(sharedHolder)}
	}
	if held.holders == 0 {
		if err := held.account.Take(size); err != nil {
			return nil, nil, err //nolint:wrapcheck // the message is encoded for the client instead
		}
	}
	held.holders++
	if held.bytes == nil {
		held.bytes = encode()
	}
	if len(held.bytes) <= maxShared {
		s.key, s.last = key, held
	}
	return held.bytes, func() { s.release(held, size) }, nil
}

func (s *sharedMessage) release(held *heldMessage, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held.holders--
	if held.holders == 0 {
		held.account.Give(size)
	}
}
