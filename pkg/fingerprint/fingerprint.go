// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fingerprint encodes lists of texts unambiguously, as the input of a hash.
package fingerprint

import "encoding/binary"

// Append appends an encoding of the texts to the slice out. The encoding contains the number and the lengths of the
// texts. Therefore, different texts always have different encodings.
func Append(out []byte, texts ...string) []byte {
	out = binary.AppendUvarint(out, uint64(len(texts)))
	for _, text := range texts {
		out = binary.AppendUvarint(out, uint64(len(text)))
		out = append(out, text...)
	}
	return out
}
