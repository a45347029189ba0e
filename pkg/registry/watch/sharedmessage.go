// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// maxShared is the largest size of a shared message, in bytes. Larger messages are encoded for each client.
	maxShared = 128 << 10
	// sharedHolder holds the memory of shared messages in the budget of streams. It is not the name of a user.
	sharedHolder = "shared messages of watches"
)

// messageKey identifies a message of a feed for clients that may see all objects.
type messageKey struct {
	// cursor is the sequence number of the last entry that the clients have received. deliveries is the number of
	// deliveries to the feed.
	cursor, deliveries uint64
	// topic is the name of the topic, which each event contains.
	topic topicName
}

// sharedMessage is the last message in one form of objects. Most clients of a feed are at the same position and get the
// same message, which is then encoded once. Clients that read slowly hold different messages.
type sharedMessage struct {
	mu   sync.Mutex
	key  messageKey
	last *heldMessage
}

// heldMessage is a message that must not be changed. Its memory is charged once while clients hold it.
type heldMessage struct {
	bytes   []byte
	account *budget.Account
	holders int
}

// get returns the message with a key, and a function that releases it. It calls encode unless the message is the last
// one. size is the approximate size of the message. It returns budget.ErrExceeded if there is no memory for the
// message.
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
