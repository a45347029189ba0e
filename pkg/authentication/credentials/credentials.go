// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials is the form of the Secret that holds what a user authenticates with. There is one per user, in KubeVision's own
// namespace, owned by the user object.
package credentials

import (
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/pkg/authentication/password"
)

const (
	// SecretType marks the Secrets of this package.
	SecretType corev1.SecretType = "kubevision.io/credentials" //nolint:gosec // a name, not a credential

	// PasswordHashKey is the key of the password's hash, in PHC string format.
	PasswordHashKey = "passwordHash"

	// PasswordSourceHashKey is the key of the hash of the password that was last taken from a Secret. It tells whether that Secret's
	// password has changed, or only its labels.
	PasswordSourceHashKey = "passwordSourceHash"

	// SecondFactorKey is the key of the second factor, in JSON.
	SecondFactorKey = "secondFactor"

	// PasswordSourceAnnotation says which version of which Secret the password was last taken from.
	PasswordSourceAnnotation = "kubevision.io/password-source" //nolint:gosec // a name, not a credential

	// passwordChosenKey is present where the user has chosen the password, rather than whoever wrote the Secret.
	passwordChosenKey = "passwordChosen"
	epochKey          = "epoch"
	keptSessionKey    = "keptSession"
)

// PasswordHash reads the password's hash. It is false where the user has no password.
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

// PasswordChosen says whether the user has chosen the password that is in force.
func PasswordChosen(s *corev1.Secret) bool { return len(s.Data[passwordChosenKey]) > 0 }

// ReplacePassword puts another password in force. Logins that wait for a second factor must begin anew, and codes that
// were given for sessions count no more.
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

// Epoch is the time between two changes after which no login from before counts any more. Sessions remember the one they began in.
func Epoch(s *corev1.Secret) string { return string(s.Data[epochKey]) }

// BeginEpoch ends every session but the one that makes the change; kept is empty where none does.
func BeginEpoch(s *corev1.Secret, kept string) {
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Data[epochKey] = []byte(rand.Text())
	s.Data[keptSessionKey] = []byte(kept)
}

// InForce says whether a session that began in an epoch still counts.
func InForce(s *corev1.Secret, session, epoch string) bool {
	return epoch == Epoch(s) || (session != "" && session == string(s.Data[keptSessionKey]))
}
