// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package gzipmember

import (
	"hash/crc32"
	"sync"
)

// The CRC-32 of the concatenation of two texts A and B is crc(A) * x^n + crc(B) modulo the CRC-32 polynomial. The sum
// is an XOR, and n is the number of bits of B. The function crc32_combine of zlib uses the same formula. The bits of a
// polynomial are reflected: 1<<31 is x^0.

const (
	one        = uint32(1) << 31
	bitsInByte = 3 // log2 of the bits in a byte
)

// multiply returns the product of two polynomials modulo the CRC-32 polynomial.
func multiply(a, b uint32) (product uint32) {
	for bit := one; bit != 0 && a&(bit|(bit-1)) != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
	return product
}

// powers returns x^(2^k) modulo the CRC-32 polynomial for each k.
var powers = sync.OnceValue(func() (out [32]uint32) { //nolint:gochecknoglobals // a table of constants
	out[0] = one >> 1
	for k := 1; k < len(out); k++ {
		out[k] = multiply(out[k-1], out[k-1])
	}
	return out
})

// crcFactorOf returns the factor for the CRC-32 of a text to which the given number of bytes is appended. The factor is
// x^(8*bytes) modulo the CRC-32 polynomial.
func crcFactorOf(bytes int64) uint32 {
	product := one
	for k := bitsInByte; bytes > 0; bytes, k = bytes>>1, k+1 {
		if bytes&1 != 0 {
			product = multiply(powers()[k%32], product) //nolint:mnd // x^(2^32) is x
		}
	}
	return product
}
