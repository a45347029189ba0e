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
	// inventedBurst is the number of forged refresh tokens that an address may send before rateInterval applies.
	inventedBurst = 60
	// shownBurst is the number of genuine refresh tokens of one session, and of codes for one login, that may be sent
	// before rateInterval applies. Each of these requests calls the API server.
	shownBurst = 60
)

// RefreshLimits limits the rate of requests with forged refresh tokens per address, and with genuine ones per session.
// Each replica has its own limits.
type RefreshLimits struct {
	invented, shown *rateLimiters
	gone            *DeletedObjects
}

// NewRefreshLimits returns RefreshLimits. gone contains sessions that are known to be deleted.
func NewRefreshLimits(gone *DeletedObjects) *RefreshLimits {
	return &RefreshLimits{invented: newRateLimiters(inventedBurst), shown: newRateLimiters(shownBurst), gone: gone}
}

// admitRefresh returns nil if the API server must be called to verify the refresh token. It returns ErrRevoked for a
// forged token or a deleted session, and a throttle.BlockedError if the address has sent too many forged tokens, too
// many logins from the address have failed, or the session is renewed too often.
func (m *SessionManager) admitRefresh(ctx context.Context, presented refreshToken, from Client) error {
	genuine, err := m.isGenuine(ctx, presented)
	if err != nil {
		return err
	}
	if !genuine {
		return m.countForged(ctx, from)
	}
	if m.Rates.gone.has(presented.session) {
		return ErrRevoked
	}
	return m.countGenuine(presented.session)
}

// isGenuine returns true if this installation has issued the refresh token: its MAC is valid, or the cached session
// contains its hash. Both checks are needed. The cache may lack a session that another replica has just created, and
// the key of the MAC of an old token may have been deleted.
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
// too many.
func (m *SessionManager) countForged(ctx context.Context, from Client) error {
	if err := m.Throttle.Blocked(ctx, from.Address); err != nil {
		return err
	}
	if !m.Rates.invented.allowFrom(from.Address, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return ErrRevoked
}

// countGenuine counts a request for the session or login with the key. It returns a throttle.BlockedError if there are
// too many.
func (m *SessionManager) countGenuine(key string) error {
	if !m.Rates.shown.allow(key, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return nil
}

// countMalformed is countForged for a token that cannot be parsed. It wraps the error reason.
func (m *SessionManager) countMalformed(ctx context.Context, from Client, reason error) error {
	err := m.countForged(ctx, from)
	if errors.Is(err, ErrRevoked) {
		return fmt.Errorf("%w: %w", err, reason)
	}
	return err
}
