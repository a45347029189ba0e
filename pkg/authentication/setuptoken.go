// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

// errNoSetupToken is returned for a token that is not a valid set-up token.
var errNoSetupToken = errors.New("not a set-up token")

func (m *SessionManager) setupToken(
	u *kubevisionv1alpha1.KubeVisionUser, session *kubevisionv1alpha1.KubeVisionSession,
) (string, error) {
	// Dashboards that ask for a code after every login exchange this token for another session with the same
	// restrictions.
	raw, err := m.Setups.Sign(token.Claims{
		Subject: u.Name, UserUID: string(u.UID), Session: session.Name, Methods: session.Spec.AuthenticationMethods,
	})
	if err != nil {
		return "", fmt.Errorf("signing a token for the set-up: %w", err)
	}
	return raw, nil
}

// startFromSetup starts a new session for a user who must set up a second factor. The parameter raw is a set-up token,
// which belongs to an earlier session of the same login. startFromSetup deletes the earlier session, so that the token
// can be used only once. It returns these errors:
//   - token.ErrExpired if the token has expired
//   - ErrRevoked if the token was used before, if the user has a second factor now, or if the user may no longer log in
//   - a throttle.BlockedError if the token is sent too often
//   - errNoSetupToken if the token is not a set-up token
func (m *SessionManager) startFromSetup(ctx context.Context, raw string, from Client) (*Session, error) {
	claims, err := m.Setups.Verify(raw)
	if errors.Is(err, token.ErrExpired) {
		return nil, err
	}
	if err != nil {
		return nil, errNoSetupToken
	}
	if err := m.countGenuine(claims.Session); err != nil {
		return nil, err
	}
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := m.Store.readUser(ctx, claims.Subject, types.UID(claims.UserUID), u); err != nil {
		return nil, err
	}
	begun := &kubevisionv1alpha1.KubeVisionSession{}
	if err := m.Client.Get(ctx, types.NamespacedName{Name: claims.Session}, begun); err != nil {
		return nil, revokedIfNotFound(err)
	}
	secret, err := m.Store.get(ctx, u.Name)
	if err != nil {
		return nil, err
	}
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return nil, err
	}
	if begun.Spec.UserUID != u.UID || !begun.DeletionTimestamp.IsZero() || factor.Enabled() ||
		!isOwnedBy(secret, u.UID) ||
		!credentials.InForce(secret, begun.Name, begun.Spec.CredentialsEpoch) {
		return nil, ErrRevoked
	}
	// Without this session, the token is no longer valid.
	if err := m.Client.Delete(ctx, begun, client.Preconditions{UID: &begun.UID}); err != nil {
		return nil, revokedIfNotFound(err)
	}
	return m.start(ctx, u, secret, begun.Spec.AuthenticationMethods, from)
}

func revokedIfNotFound(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return ErrRevoked
	}
	return fmt.Errorf("replacing the session of the login: %w", err)
}
