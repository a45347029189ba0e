// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials is the form of the Secret that holds what a user authenticates with. There is one per user, in KubeVision's own
// namespace, owned by the user object.
package credentials

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/pkg/authentication/password"
)

const (
	// SecretType marks the Secrets of this package.
	SecretType corev1.SecretType = "kubevision.io/credentials" //nolint:gosec // a name, not a credential

	// PasswordHashKey is the key of the password's hash, in PHC string format.
	PasswordHashKey = "passwordHash"

	// PasswordSourceHashKey is the key of the hash of the password that was last taken from a Secret. It differs from the password's
	// hash once the user has chosen another password, and tells whether the Secret's password has changed or only its labels.
	PasswordSourceHashKey = "passwordSourceHash"

	// SecondFactorKey is the key of the second factor, in JSON.
	SecondFactorKey = "secondFactor"

	// PasswordSourceAnnotation says which version of which Secret the password was last taken from.
	PasswordSourceAnnotation = "kubevision.io/password-source" //nolint:gosec // a name, not a credential
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
