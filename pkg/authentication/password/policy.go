// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
)

const (
	// MinLength is the length of the shortest password in characters. NIST SP 800-63B requires at least 8, and more for
	// passwords without a second factor.
	MinLength = 12
	// minScore is the smallest accepted estimate, on a scale from 0 to 4. A score of 3 withstands guessing against an
	// online service.
	minScore = 3
	// estimated is the part of a password that is estimated, in characters: the time grows much faster than the length.
	estimated = 20
	// product is a word that an attacker tries first.
	product = "kubevision"
)

// WeakError tells why a password is too weak, without the password.
type WeakError struct {
	reason string
}

// Error implements error.
func (e *WeakError) Error() string { return "the password " + e.reason }

// CheckStrength returns a WeakError for a password that is too short or too easy to guess: made of common words, names,
// dates or keyboard patterns, or of known, the data of the user. It requires no classes of characters (NIST SP 800-63B,
// section 3.1.1.2).
func CheckStrength(password string, known ...string) error {
	if len(password) <= MaxLength {
		password = normalize(password)
	}
	switch length := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return &WeakError{"is not valid UTF-8"}
	case len(password) > MaxLength:
		return &WeakError{fmt.Sprintf("is longer than %d bytes", MaxLength)}
	case length < MinLength:
		return &WeakError{fmt.Sprintf("is too short: use %d characters or more", MinLength)}
	}
	words := []string{product}
	for _, k := range known {
		words = append(words, strings.FieldsFunc(strings.ToLower(k), func(r rune) bool { return strings.ContainsRune(" @.-_", r) })...)
	}
	if zxcvbn.PasswordStrength(firstCharacters(password), words).Score < minScore {
		return &WeakError{"is easily guessed: use several unrelated words, or a password manager"}
	}
	return nil
}

// firstCharacters returns the beginning of a password, in whole characters.
func firstCharacters(password string) string {
	runes := []rune(password)
	return string(runes[:min(len(runes), estimated)])
}
