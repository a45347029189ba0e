// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protobuf estimates the size of messages before they are decoded: two bytes may encode an element that takes a
// kilobyte.
package protobuf

import "google.golang.org/protobuf/encoding/protowire"

// Elements returns an upper bound of the number of elements in a message, down to a depth. It also counts inside
// strings, since only the type distinguishes them from messages.
func Elements(message []byte, depth int) (count int64) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return count
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return count
		}
		if kind == protowire.BytesType {
			count++
			if inner, m := protowire.ConsumeBytes(message[:n]); m > 0 && depth > 0 {
				count += Elements(inner, depth-1)
			}
		}
		message = message[n:]
	}
	return count
}
