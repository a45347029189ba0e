// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials reads and writes the Secret with the credentials of a user: the password hash and the second
// factor. Each KubeVisionUser has such a Secret in KubeVision's namespace, and is its owner.
package credentials

import (
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/pkg/authentication/password"
)

const (
	// SecretType is the type of the Secrets with credentials.
	SecretType corev1.SecretType = "kubevision.io/credentials" //nolint:gosec // a name, not a credential

	// PasswordHashKey is the key of the password hash in the Secret. The value is a PHC string.
	PasswordHashKey = "passwordHash"

	// PasswordSourceHashKey is the key of the hash of the password that was imported last from spec.passwordSecretRef.
	// A comparison with it shows whether the password there has changed.
	PasswordSourceHashKey = "passwordSourceHash"

	// SecondFactorKey is the key of the second factor. The value is JSON.
	SecondFactorKey = "secondFactor"

	// PasswordSourceAnnotation contains the name and resource version of the Secret from which the password was
	// imported last.
	PasswordSourceAnnotation = "kubevision.io/password-source" //nolint:gosec // a name, not a credential

	// passwordChosenKey is a key that is present if the user has set the password, and absent if it was imported.
	passwordChosenKey = "passwordChosen"
	epochKey          = "epoch"
	keptSessionKey    = "keptSession"
)

// PasswordHash returns the password hash in the Secret. It returns false if there is none, and an error if it cannot be
// parsed.
func PasswordHash(s *corev1.Secret) (password.Hash, bool, error) {
	value, ok := s.Data[PasswordHashKey]
	if !ok {
		return password.Hash{}, false, nil
	}
	hash, err := password.Parse(string(value))
	if err != nil {
		return password.Hash{}, false, fmt.Errorf("key %s of secret %s: %w", PasswordHashKey, s.Name, err)
	}
	return hash, true, nil
}

// PasswordChosen returns true if the user has set the password, and false if it was imported.
func PasswordChosen(s *corev1.Secret) bool { return len(s.Data[passwordChosenKey]) > 0 }

// ReplacePassword sets the password hash. It also ends logins that wait for a second factor, and the verification of
// sessions. chosen is true if the user has set the password.
func ReplacePassword(s *corev1.Secret, hash password.Hash, chosen bool) error {
	factor, err := ReadSecondFactor(s)
	if err != nil {
		return err
	}
	factor.Challenges, factor.Verified = nil, nil
	if err := factor.Write(s); err != nil {
		return err
	}
	s.Data[PasswordHashKey] = []byte(hash.String())
	delete(s.Data, passwordChosenKey)
	if chosen {
		s.Data[passwordChosenKey] = []byte("true")
	}
	return nil
}

// Epoch returns the epoch of the credentials: a random value that each session contains, too. When the epoch changes,
// sessions with another epoch are no longer valid.
func Epoch(s *corev1.Secret) string { return string(s.Data[epochKey]) }

// BeginEpoch changes the epoch. The sessions of the user are no longer valid, except the session kept, in which the
// user has made the change. kept may be empty.
func BeginEpoch(s *corev1.Secret, kept string) {
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Data[epochKey] = []byte(rand.Text())
	s.Data[keptSessionKey] = []byte(kept)
}

// InForce returns true if a session with the epoch is still valid.
func InForce(s *corev1.Secret, session, epoch string) bool {
	return epoch == Epoch(s) || (session != "" && session == string(s.Data[keptSessionKey]))
}
