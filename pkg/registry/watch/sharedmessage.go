// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import "sync"

// maxShared is the size of a message, in bytes, beyond which it is encoded for each client.
const maxShared = 128 << 10

// messageKey identifies a message of a feed for clients that may see all objects.
type messageKey struct {
	// cursor is the last entry that the clients have, and deliveries the number of deliveries to the feed.
	cursor, deliveries uint64
	// topic is repeated in each event.
	topic topicName
}

// sharedMessage is the last message in one form of objects. Most clients of a feed are at the same position and get the
// same message, which is encoded once. It must not be changed.
type sharedMessage struct {
	mu      sync.Mutex
	key     messageKey
	message []byte
}

// get returns a message, which encode makes if it is not the last one.
func (s *sharedMessage) get(key messageKey, encode func() []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.message != nil && s.key == key {
		return s.message
	}
	message := encode()
	if len(message) <= maxShared {
		s.key, s.message = key, message
	}
	return message
}
