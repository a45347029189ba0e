// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials reads and writes the Secret with the credentials of a user. Each user has one, in KubeVision's
// namespace, owned by the user object.
package credentials

import (
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/pkg/authentication/password"
)

const (
	// SecretType is the type of these Secrets.
	SecretType corev1.SecretType = "kubevision.io/credentials" //nolint:gosec // a name, not a credential

	// PasswordHashKey is the key of the password hash, in PHC string format.
	PasswordHashKey = "passwordHash"

	// PasswordSourceHashKey is the key of the hash of the password that was last read from a password Secret. It
	// distinguishes a new password from a change of the Secret's metadata.
	PasswordSourceHashKey = "passwordSourceHash"

	// SecondFactorKey is the key of the second factor, in JSON.
	SecondFactorKey = "secondFactor"

	// PasswordSourceAnnotation contains the name and the version of the Secret from which the password was last read.
	PasswordSourceAnnotation = "kubevision.io/password-source" //nolint:gosec // a name, not a credential

	// passwordChosenKey is present if the user has set the password, and absent if it comes from a password Secret.
	passwordChosenKey = "passwordChosen"
	epochKey          = "epoch"
	keptSessionKey    = "keptSession"
)

// PasswordHash reads the password hash. It returns false if the user has no password.
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

// PasswordChosen returns true if the user has set the current password.
func PasswordChosen(s *corev1.Secret) bool { return len(s.Data[passwordChosenKey]) > 0 }

// ReplacePassword replaces the password. It ends the verified sessions and the logins that wait for a second factor.
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

// Epoch returns the epoch of the credentials. Each session stores the epoch in which it began. A change of the epoch
// ends all sessions of earlier epochs.
func Epoch(s *corev1.Secret) string { return string(s.Data[epochKey]) }

// BeginEpoch ends all sessions except kept, the session that makes the change. kept is empty if the change is not made
// in a session.
func BeginEpoch(s *corev1.Secret, kept string) {
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Data[epochKey] = []byte(rand.Text())
	s.Data[keptSessionKey] = []byte(kept)
}

// InForce returns true if a session that began in the given epoch is still valid.
func InForce(s *corev1.Secret, session, epoch string) bool {
	return epoch == Epoch(s) || (session != "" && session == string(s.Data[keptSessionKey]))
}
