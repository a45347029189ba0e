// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials reads and writes the Secret with the credentials of a user: the password hash and the second
// factor. Each KubeVisionUser owns such a Secret in KubeVision's namespace.
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

	// PasswordHashKey is a key in the data of a credentials Secret. The value is the password hash, as a PHC string.
	PasswordHashKey = "passwordHash"

	// PasswordSourceHashKey is a key in the data of a credentials Secret. The value is the hash of the password that
	// was imported last from spec.passwordSecretRef. A password that matches this hash is not imported again.
	PasswordSourceHashKey = "passwordSourceHash"

	// SecondFactorKey is a key in the data of a credentials Secret. The value is the second factor, as JSON.
	SecondFactorKey = "secondFactor"

	// PasswordSourceAnnotation contains the UID and resource version of the Secret from which the password was imported
	// last, and the key in this Secret.
	PasswordSourceAnnotation = "kubevision.io/password-source" //nolint:gosec // a name, not a credential

	// passwordChosenKey is a key in the data of a credentials Secret. It exists only if the user has chosen the current
	// password.
	passwordChosenKey = "passwordChosen"
	epochKey          = "epoch"
	keptSessionKey    = "keptSession"
)

// PasswordHash returns the password hash in the Secret. It returns false if there is no hash, and an error if the hash
// cannot be parsed.
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

// PasswordChosen returns true if the user has chosen the current password. It returns false for any other password, for
// example for one that was imported from spec.passwordSecretRef.
func PasswordChosen(s *corev1.Secret) bool { return len(s.Data[passwordChosenKey]) > 0 }

// ReplacePassword sets the password hash in the Secret. Afterwards, PasswordChosen returns the value of byUser.
// ReplacePassword also ends all logins that wait for a one-time code. Each session needs a new code before the next
// sensitive operation. If the second factor in the Secret cannot be read, ReplacePassword returns an error.
func ReplacePassword(s *corev1.Secret, hash password.Hash, byUser bool) error {
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
	if byUser {
		s.Data[passwordChosenKey] = []byte("true")
	}
	return nil
}

// Epoch returns the epoch of the credentials. This is a random value that changes together with the password or the
// second factor. Each session contains the epoch of its login. A session with another epoch is no longer valid (see
// InForce).
func Epoch(s *corev1.Secret) string { return string(s.Data[epochKey]) }

// BeginEpoch changes the epoch. All existing sessions of the user become invalid, except the session with the given
// name. If the name is empty, all existing sessions become invalid.
func BeginEpoch(s *corev1.Secret, session string) {
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Data[epochKey] = []byte(rand.Text())
	s.Data[keptSessionKey] = []byte(session)
}

// InForce returns true if no change of the credentials has ended the session. The parameter epoch is the result of
// Epoch at the beginning of the session.
func InForce(s *corev1.Secret, session, epoch string) bool {
	// The session in which the user has changed the credentials remains valid.
	return epoch == Epoch(s) || (session != "" && session == string(s.Data[keptSessionKey]))
}
