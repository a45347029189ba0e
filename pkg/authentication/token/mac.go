// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
)

// MACLength is the length of a message authentication code in bytes.
const MACLength = 16

// MAC authenticates values for one purpose. Its keys are derived from the signing keys, which all replicas share.
type MAC struct {
	keys    *KeySet
	purpose string
}

// NewMAC returns a MAC for a purpose. Codes for one purpose are not valid for another.
func NewMAC(keys *KeySet, purpose string) *MAC { return &MAC{keys: keys, purpose: purpose} }

// Sum returns the code of a value with the current key, or ErrNoKeys.
func (m *MAC) Sum(value []byte) ([]byte, error) {
	secret, err := m.keys.Secret(m.purpose)
	if err != nil {
		return nil, err
	}
	return sum(secret, value), nil
}

// Verify returns true if the code is that of the value and the purpose, with any of the loaded keys.
func (m *MAC) Verify(value, code []byte) bool {
	for _, k := range m.keys.all() {
		secret, err := k.derive(m.purpose)
		if err == nil && hmac.Equal(sum(secret, value), code) {
			return true
		}
	}
	return false
}

func sum(secret, value []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(value)
	return mac.Sum(nil)[:MACLength]
}

func (k Key) derive(purpose string) ([]byte, error) {
	raw, err := k.Private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding a signing key: %w", err)
	}
	return hkdf.Key(sha256.New, raw, nil, purpose, sha256.Size)
}
