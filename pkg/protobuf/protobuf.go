// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protobuf estimates the memory of protobuf messages before they are decoded: two bytes may encode an element
// that takes a kilobyte.
package protobuf

import "google.golang.org/protobuf/encoding/protowire"

// Elements returns an upper bound of the number of length-delimited fields (strings, bytes, messages) in a message,
// down to a depth. It also looks inside strings, because without the schema a string cannot be told from a message.
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

// Fields of metav1.ObjectMeta, which is the first field of each of Kubernetes' own objects.
const (
	metadataField  = 1
	nameField      = 1
	namespaceField = 3
)

// Name returns the name of one of Kubernetes' own objects, if it can be read.
func Name(object []byte) (namespace, name string) {
	metadata := field(object, metadataField)
	return string(field(metadata, namespaceField)), string(field(metadata, nameField))
}

// field returns the bytes of the first field with a number in a message.
func field(message []byte, wanted protowire.Number) []byte {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		message = message[n:]
		if number == wanted && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			return value
		}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return nil
		}
		message = message[n:]
	}
	return nil
}
