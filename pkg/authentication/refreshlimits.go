// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

const (
	// rateInterval is the time after which one more request is allowed.
	rateInterval = time.Second
	// inventedBurst is the number of forged refresh tokens that an address may send at once. After that, one more token
	// is allowed in each rateInterval.
	inventedBurst = 60
	// shownBurst is the number of genuine refresh tokens that may be sent at once for one session. It is also the
	// number of codes that may be sent at once for one login. After that, one more request is allowed in each
	// rateInterval. Each of these requests calls the API server.
	shownBurst = 60
)

// RefreshLimits limits the rate of requests with refresh tokens. Forged tokens are limited for each address, and
// genuine tokens for each session. Each replica has its own limits.
type RefreshLimits struct {
	invented, shown *rateLimiters
	deletedSessions *DeletedObjects
}

// NewRefreshLimits returns RefreshLimits with the given list of deleted sessions.
func NewRefreshLimits(deletedSessions *DeletedObjects) *RefreshLimits {
	return &RefreshLimits{
		invented: newRateLimiters(inventedBurst), shown: newRateLimiters(shownBurst), deletedSessions: deletedSessions,
	}
}

// admitRefresh returns nil if the API server must be called to verify the refresh token. It returns these errors:
//   - a throttle.BlockedError for a forged token, if the address has sent too many forged tokens, or if too many logins
//     from the address have failed
//   - ErrRevoked for any other forged token
//   - ErrRevoked for a token of a deleted session
//   - a throttle.BlockedError if the session is renewed too often
func (m *SessionManager) admitRefresh(ctx context.Context, presented refreshToken, from Client) error {
	genuine, err := m.isGenuine(ctx, presented)
	if err != nil {
		return err
	}
	if !genuine {
		return m.countForged(ctx, from)
	}
	if m.Rates.deletedSessions.has(presented.session) {
		return ErrRevoked
	}
	return m.countGenuine(presented.session)
}

// isGenuine returns true if this installation has issued the refresh token. This is so if its MAC is valid, or if the
// cached session contains its hash. Both checks are needed. The cache may not contain a session that another replica
// has just created. The MAC of an old token may be invalid, because its signing key was deleted.
func (m *SessionManager) isGenuine(ctx context.Context, presented refreshToken) (bool, error) {
	if presented.signed(m.RefreshMAC) {
		return true, nil
	}
	session := &kubevisionv1alpha1.KubeVisionSession{}
	err := m.Cache.Get(ctx, types.NamespacedName{Name: presented.session}, session)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the session: %w", err)
	}
	hash := presented.hash()
	return hash == session.Spec.RefreshTokenHash || slices.Contains(session.Spec.PreviousRefreshTokenHashes, hash), nil
}

// countForged counts a forged token, and returns ErrRevoked. It returns a throttle.BlockedError if the address has sent
// too many forged tokens, or if too many logins from the address have failed.
func (m *SessionManager) countForged(ctx context.Context, from Client) error {
	if err := m.Throttle.Blocked(ctx, from.Address); err != nil {
		return err
	}
	if !m.Rates.invented.allowFrom(from.Address, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return ErrRevoked
}

// countGenuine counts a request with a genuine token. The key is the ID of the session or of the login to which the
// token belongs. countGenuine returns a throttle.BlockedError if there are too many requests with this key.
func (m *SessionManager) countGenuine(key string) error {
	if !m.Rates.shown.allow(key, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return nil
}

// countMalformed is like countForged, but for a token that cannot be parsed. The reason is the error of the parser. If
// countMalformed returns ErrRevoked, the error also wraps the reason.
func (m *SessionManager) countMalformed(ctx context.Context, from Client, reason error) error {
	err := m.countForged(ctx, from)
	if errors.Is(err, ErrRevoked) {
		return fmt.Errorf("%w: %w", err, reason)
	}
	return err
}
