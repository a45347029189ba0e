// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
)

// MACLength is the length of a message authentication code, in bytes.
const MACLength = 16

// MAC computes message authentication codes (HMAC-SHA256, truncated) for one purpose. Its keys are derived from the
// signing keys. Therefore, all replicas have the same keys.
type MAC struct {
	keys    *KeySet
	purpose string
}

// NewMAC returns a MAC for the purpose. A message authentication code for one purpose is not valid for another purpose.
func NewMAC(keys *KeySet, purpose string) *MAC { return &MAC{keys: keys, purpose: purpose} }

// Sum returns the message authentication code of the value. It returns ErrNoKeys if no signing key is loaded.
func (m *MAC) Sum(value []byte) ([]byte, error) {
	secret, err := m.keys.Secret(m.purpose)
	if err != nil {
		return nil, err
	}
	return sum(secret, value), nil
}

// Verify returns true if mac is the message authentication code of the value for one of the loaded signing keys.
func (m *MAC) Verify(value, mac []byte) bool {
	for _, k := range m.keys.all() {
		secret, err := k.derive(m.purpose)
		if err == nil && hmac.Equal(sum(secret, value), mac) {
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
