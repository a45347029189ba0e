// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recoverycode generates and verifies recovery codes: one-time codes for users who have lost their second
// factor.
package recoverycode

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

const (
	// Count is the number of recovery codes of a user.
	Count = 10

	// bytes is the number of random bytes in a code.
	bytes = 10
	// group is the number of characters between two hyphens of a code.
	group = 4
)

// New generates Count codes and their hashes. A hash is valid only for the user with the UID.
func New(userUID string) (codes, hashes []string, err error) {
	for range Count {
		random := make([]byte, bytes)
		if _, err := rand.Read(random); err != nil {
			return nil, nil, fmt.Errorf("reading randomness for a recovery code: %w", err)
		}
		text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random))
		code := strings.Join(slices.Collect(chunks(text)), "-")
		codes, hashes = append(codes, code), append(hashes, hash(userUID, code))
	}
	return codes, hashes, nil
}

func chunks(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(s); i += group {
			if !yield(s[i:min(i+group, len(s))]) {
				return
			}
		}
	}
}

// Redeem returns true if the code matches one of the hashes. It also returns the hashes that do not match the code. The
// comparison ignores case, spaces and hyphens.
func Redeem(hashes []string, userUID, code string) ([]string, bool) {
	wanted := hash(userUID, code)
	rest := slices.DeleteFunc(slices.Clone(hashes), func(h string) bool { return h == wanted })
	return rest, len(rest) < len(hashes)
}

// hash returns the SHA-256 of the user's UID and the code. Without the UID, a hash could be copied to another user, and
// would be valid there.
func hash(userUID, code string) string {
	normal := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
	sum := sha256.Sum256([]byte(userUID + "\x00" + normal))
	return hex.EncodeToString(sum[:])
}
