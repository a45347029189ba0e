// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"k8s.io/utils/clock"
)

const (
	keySuffix = ".pem"
	pemType   = "PRIVATE KEY"

	// propagation is the age at which a key begins to sign. All replicas have loaded the key by then.
	propagation = time.Minute
)

// Key is a signing key. Its ID is a ULID, which contains the creation time of the key.
type Key struct {
	ID      string
	Private *ecdsa.PrivateKey
	Created time.Time
}

// NewKey generates a P-256 key. It returns the name and the value of an entry for the data of the Secret with signing
// keys.
func NewKey(now time.Time) (name string, value []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, fmt.Errorf("generating a P-256 key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", nil, fmt.Errorf("encoding a P-256 key: %w", err)
	}
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return "", nil, fmt.Errorf("creating a key id: %w", err)
	}
	return id.String() + keySuffix, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// ParseKeys parses the data of the Secret with signing keys. It returns the keys sorted by age, the oldest first. It
// returns an error if one key is invalid. If replicas skipped invalid keys instead, they could use different keys.
func ParseKeys(data map[string][]byte) ([]Key, error) {
	var keys []Key
	for name, value := range data {
		key, err := parseKey(name, value)
		if err != nil {
			return nil, fmt.Errorf("signing key %q: %w", name, err)
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.ID, b.ID) })
	return keys, nil
}

func parseKey(name string, value []byte) (Key, error) {
	id, ok := strings.CutSuffix(name, keySuffix)
	made, err := ulid.ParseStrict(id)
	if !ok || err != nil {
		return Key{}, errors.New("the name is not a ULID followed by " + keySuffix)
	}
	block, rest := pem.Decode(value)
	if block == nil || block.Type != pemType || strings.TrimSpace(string(rest)) != "" {
		return Key{}, errors.New("the value must be exactly one PEM block of type " + pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, errors.New("the value is not a PKCS #8 key")
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return Key{}, errors.New("the key is not on the curve P-256")
	}
	return Key{ID: id, Private: private, Created: ulid.Time(made.Time())}, nil
}

// KeySet contains the loaded signing keys. All methods may be called concurrently.
type KeySet struct {
	clock clock.PassiveClock
	keys  atomic.Pointer[[]Key]
}

// NewKeySet returns a KeySet without keys.
func NewKeySet(c clock.PassiveClock) *KeySet { return &KeySet{clock: c} }

// Load replaces the keys with the keys in the data of a Secret. After an error, the previous keys remain.
func (s *KeySet) Load(data map[string][]byte) error {
	keys, err := ParseKeys(data)
	if err != nil {
		return err
	}
	s.keys.Store(&keys)
	return nil
}

func (s *KeySet) all() []Key {
	if p := s.keys.Load(); p != nil {
		return *p
	}
	return nil
}

// Current returns the key that signs new tokens. This is the newest key that is old enough (see propagation). If no key
// is old enough, Current returns the oldest key. It returns ErrNoKeys if there are no keys.
func (s *KeySet) Current() (Key, error) {
	keys := s.all()
	if len(keys) == 0 {
		return Key{}, ErrNoKeys
	}
	for _, k := range slices.Backward(keys) {
		if s.clock.Since(k.Created) >= propagation {
			return k, nil
		}
	}
	return keys[0], nil
}

// Secret returns a secret that is derived from the current key for a purpose. It is the same on all replicas, and
// changes with the key. Secret returns ErrNoKeys if there are no keys.
func (s *KeySet) Secret(purpose string) ([]byte, error) {
	k, err := s.Current()
	if err != nil {
		return nil, err
	}
	return k.derive(purpose)
}

// Find returns the key with the ID. It returns false if there is no such key. It also returns false if a newer key has
// replaced the key so long ago that all tokens of the old key have expired.
func (s *KeySet) Find(id string) (Key, bool) {
	keys := s.all()
	for i, k := range keys {
		if k.ID != id {
			continue
		}
		if i+1 < len(keys) && s.clock.Since(keys[i+1].Created) >= propagation+verificationTime {
			return Key{}, false
		}
		return k, true
	}
	return Key{}, false
}
