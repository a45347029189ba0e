// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// maxShared is the maximum size of a message that is encoded once for several clients, in bytes. A larger message
	// is encoded for each client.
	maxShared = 128 << 10
	// sharedHolder is the name to which the memory of shared messages is charged. It cannot be the name of a user.
	sharedHolder = "shared messages of watches"
)

// messageKey identifies a message that the clients of a feed can share.
type messageKey struct {
	cursor uint64
	// revision is the number of updates that the feed had received when the message was encoded. After an update, the
	// message must be encoded again, because it may contain more events.
	revision uint64
	topic    topicName
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

func (s *sharedMessage) getOrEncode(
	key messageKey, account *budget.Account, size int64, encode func() []byte,
) (message []byte, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.last
	if held == nil || s.key != key {
		// The memory is not charged to one user, because clients of several users may share the message.
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
