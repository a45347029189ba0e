// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protobuf examines protobuf messages without decoding them. Decoding may need much memory: two bytes may
// encode an element that uses a kilobyte.
package protobuf

import "google.golang.org/protobuf/encoding/protowire"

// Elements returns an upper bound of the number of strings, byte fields and messages in a protobuf message, to the
// given nesting depth. It treats each string as a message, because the two cannot be distinguished without the schema.
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

// These constants are field numbers: the number of metadata in the built-in kinds of Kubernetes, and the numbers of
// name and namespace in metav1.ObjectMeta.
const (
	metadataField  = 1
	nameField      = 1
	namespaceField = 3
)

// Name returns the namespace and name of a protobuf message that contains an object of a built-in kind. It returns
// empty strings if the object cannot be read.
func Name(object []byte) (namespace, name string) {
	metadata := field(object, metadataField)
	return string(field(metadata, namespaceField)), string(field(metadata, nameField))
}

// field returns the bytes of the first field with the number wanted in a message, or nil.
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
