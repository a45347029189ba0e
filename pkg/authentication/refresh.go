// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
)

const (
	// reuseGrace is the time after a renewal during which the previous refresh token remains valid, because two browser
	// tabs may renew the session at the same time.
	reuseGrace = 30 * time.Second
	// maxPrevious bounds the number of used refresh tokens that are stored to recognize their reuse.
	maxPrevious = 16
)

// ErrExpired is returned for a genuine refresh token whose session has expired.
var ErrExpired = errors.New("the session has expired")

// Refresh verifies a refresh token, renews its session, and returns new tokens. It returns these errors:
//   - ErrExpired if the session has expired
//   - ErrRevoked if the refresh token is invalid or was revoked
//   - a throttle.BlockedError after too many renewals, invalid tokens or failed logins
func (m *SessionManager) Refresh(ctx context.Context, text string, from Client) (*Session, error) {
	presented, err := parseRefreshToken(text)
	if err != nil {
		return nil, m.countMalformed(ctx, from, err)
	}
	// A forged token is rejected here, without a call of the API server.
	if err := m.admitRefresh(ctx, presented, from); err != nil {
		return nil, err
	}
	var renewed *Session
	// If several replicas renew the session at once, one write succeeds. The other replicas read the result and return
	// the same token.
	err = retry.RetryOnConflict(conflictBackoff(), func() error {
		renewed, err = m.renew(ctx, presented, from)
		return err
	})
	return renewed, err
}

func (m *SessionManager) renew(ctx context.Context, presented refreshToken, from Client) (*Session, error) {
	session := &kubevisionv1alpha1.KubeVisionSession{}
	err := m.Client.Get(ctx, types.NamespacedName{Name: presented.session}, session)
	if apierrors.IsNotFound(err) {
		m.Rates.deletedSessions.add(presented.session)
		return nil, ErrRevoked
	}
	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	now := m.Clock.Now()
	hash := presented.hash()
	current := hash == session.Spec.RefreshTokenHash
	if !current && !slices.Contains(session.Spec.PreviousRefreshTokenHashes, hash) {
		return nil, ErrRevoked
	}
	if !session.DeletionTimestamp.IsZero() {
		return nil, ErrRevoked
	}
	if !now.Before(session.Spec.ExpirationTime.Time) {
		return nil, ErrExpired
	}
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := m.Store.readUser(ctx, session.Spec.UserName, session.Spec.UserUID, u); err != nil {
		return nil, err
	}
	epoch, err := m.checkEpoch(ctx, u, session)
	if err != nil {
		return nil, err
	}
	next := presented.successor(session.Spec.RotationSalt)
	switch {
	case current:
		if next, err = m.rotate(ctx, session, presented, now); err != nil {
			return nil, err
		}
	case next.hash() != session.Spec.RefreshTokenHash || session.Spec.RotationTime == nil ||
		now.Sub(session.Spec.RotationTime.Time) > reuseGrace:
		return nil, m.endReused(ctx, u, session)
	}
	return m.signTokens(ctx, u, session, next, epoch, from)
}

// checkEpoch returns the epoch of the user's credentials (see credentials.Epoch). It returns ErrRevoked if a change of
// the credentials has ended the session (see credentials.InForce).
func (m *SessionManager) checkEpoch(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session *kubevisionv1alpha1.KubeVisionSession,
) (epoch string, err error) {
	secret, err := m.Store.get(ctx, u.Name)
	if err != nil {
		return "", err
	}
	if !isOwnedBy(secret, u.UID) || !credentials.InForce(secret, session.Name, session.Spec.CredentialsEpoch) {
		return "", ErrRevoked
	}
	return credentials.Epoch(secret), nil
}

// rotate replaces the refresh token of the session, and returns the new one. If another replica has replaced the token
// meanwhile, the update fails with a conflict, and the caller tries again with the new session object.
func (m *SessionManager) rotate(
	ctx context.Context, session *kubevisionv1alpha1.KubeVisionSession, presented refreshToken, now time.Time,
) (refreshToken, error) {
	random := make([]byte, secretBytes)
	if _, err := rand.Read(random); err != nil {
		return refreshToken{}, fmt.Errorf("reading randomness for a salt: %w", err)
	}
	salt := hex.EncodeToString(random)
	next := presented.successor(salt)
	previous := append([]string{session.Spec.RefreshTokenHash}, session.Spec.PreviousRefreshTokenHashes...)
	session.Spec.PreviousRefreshTokenHashes = previous[:min(len(previous), maxPrevious)]
	session.Spec.RefreshTokenHash = next.hash()
	session.Spec.RotationSalt = salt
	session.Spec.RotationTime = &metav1.Time{Time: now}
	session.Spec.ExpirationTime = metav1.NewTime(now.Add(SessionTTL))
	if err := m.Client.Update(ctx, session); err != nil {
		if apierrors.IsNotFound(err) {
			return refreshToken{}, ErrRevoked
		}
		return refreshToken{}, fmt.Errorf("rotating the refresh token: %w", err)
	}
	return next, nil
}

// endReused deletes a session because a client has sent a used refresh token of this session again. It returns
// ErrRevoked. The client may be the user or a thief, and the server cannot distinguish them (RFC 9700, section 4.14.2).
func (m *SessionManager) endReused(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session *kubevisionv1alpha1.KubeVisionSession,
) error {
	m.Audit.Record(ctx, audit.Event{Reason: audit.RefreshTokenReused, User: u, Session: session.Name})
	if err := m.Client.Delete(ctx, session,
		client.Preconditions{UID: &session.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("ending the session: %w", err)
	}
	return ErrRevoked
}
