// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protobuf examines protobuf messages without decoding them. Decoding an unchecked message may need too much
// memory: two bytes of the message may become an element that uses a kilobyte.
package protobuf

import "google.golang.org/protobuf/encoding/protowire"

// Elements returns an upper bound of the number of strings, byte fields and messages in a protobuf message. It examines
// nested messages up to the given depth. Without the schema, a string cannot be distinguished from a message.
// Therefore, Elements examines each string like a message.
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

const (
	// metadataField is the protobuf field number of "metadata" in each built-in kind of Kubernetes.
	metadataField = 1
	// nameField is the protobuf field number of "name" in metav1.ObjectMeta.
	nameField = 1
	// namespaceField is the protobuf field number of "namespace" in metav1.ObjectMeta.
	namespaceField = 3
)

// Name returns the namespace and name of an object that is encoded as a protobuf message. The kind of the object must
// be a built-in kind of Kubernetes. Name returns empty strings if the object cannot be read.
func Name(object []byte) (namespace, name string) {
	metadata := field(object, metadataField)
	return string(field(metadata, namespaceField)), string(field(metadata, nameField))
}

// field returns the bytes of the first field with the wanted number. It returns nil if the message has no such field.
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
