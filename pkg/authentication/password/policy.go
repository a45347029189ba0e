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
	// MinLength is the minimum length of a password, in characters. It is between the two minimums of NIST SP 800-63B:
	// 8 characters with a second factor, and 15 without one.
	MinLength = 12
	// minScore is the smallest accepted result of the strength estimate, on a scale from 0 to 4. A password with the
	// score 3 withstands online guessing.
	minScore = 3
	// estimatedCharacters is the number of characters that the strength estimate reads. The rest of the password is
	// ignored, because the duration of the estimate grows much faster than the number of characters.
	estimatedCharacters = 20
	// product is a word that the strength estimate treats as easy to guess.
	product = "kubevision"
)

// WeakError gives the reason why a password is too weak. It does not contain the password.
type WeakError struct {
	reason string
}

// Error implements error.
func (e *WeakError) Error() string { return "the password " + e.reason }

// CheckStrength returns a WeakError if a password is not UTF-8, is too long, is too short, or is too easy to guess. A
// password is easy to guess if it consists of common words, names, dates or keyboard patterns. It is also easy to guess
// if it consists of the given data of the user. CheckStrength does not require classes of characters (NIST SP 800-63B,
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
		words = append(words, strings.FieldsFunc(strings.ToLower(k), func(r rune) bool {
			return strings.ContainsRune(" @.-_", r)
		})...)
	}
	if zxcvbn.PasswordStrength(firstCharacters(password), words).Score < minScore {
		return &WeakError{"is easily guessed: use several unrelated words, or a password manager"}
	}
	return nil
}

// firstCharacters cuts a password after estimatedCharacters, because the strength estimate of a long password is slow.
func firstCharacters(password string) string {
	runes := []rune(password)
	return string(runes[:min(len(runes), estimatedCharacters)])
}
