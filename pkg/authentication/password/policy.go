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
	// MinLength is the shortest password in characters (NIST SP 800-63B asks for 8 at the least, and for more where nothing else protects).
	MinLength = 12
	// minScore is what the estimate must reach, on a scale from 0 to 4: 3 withstands guessing against a service.
	minScore = 3
	// estimated is how much of a password is looked at: the time it takes grows much faster than the length.
	estimated = 20
	// product is the first word that somebody would guess.
	product = "kubevision"
)

// WeakError says what is wrong with a password, without the password.
type WeakError struct {
	reason string
}

// Error implements error.
func (e *WeakError) Error() string { return "the password " + e.reason }

// CheckStrength is a WeakError for a password that is too short or too easily guessed: made of words, names, dates or keyboard patterns that
// everybody tries, or of what is known of the user. Classes of characters are not asked for (NIST SP 800-63B, section 3.1.1.2).
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
	if zxcvbn.PasswordStrength(head(password), words).Score < minScore {
		return &WeakError{"is easily guessed: use several unrelated words, or a password manager"}
	}
	return nil
}

// head is the beginning of a password, in whole characters.
func head(password string) string {
	runes := []rune(password)
	return string(runes[:min(len(runes), estimated)])
}
