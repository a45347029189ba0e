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
	// inventedBurst is the burst of forged refresh tokens of one address.
	inventedBurst = 60
	// shownBurst is the burst of renewals for one session, and of responses to one challenge. Each attempt calls the
	// API server.
	shownBurst = 60
)

// RefreshLimits limits the work for forged tokens, and for genuine tokens that are sent too often. The limits apply to
// each replica separately.
type RefreshLimits struct {
	invented, shown *rateLimiters
	gone            *DeletedObjects
}

// NewRefreshLimits returns RefreshLimits. gone recognizes ended sessions.
func NewRefreshLimits(gone *DeletedObjects) *RefreshLimits {
	return &RefreshLimits{invented: newRateLimiters(inventedBurst), shown: newRateLimiters(shownBurst), gone: gone}
}

// admitRefresh returns nil for a refresh token that justifies a call to the API server. It returns ErrRevoked for a
// forged token or an ended session. It returns a throttle.BlockedError if the address has sent too many such tokens,
// too many logins from the address have failed, or the session is renewed too often.
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

// isGenuine returns true if this installation issued the token: its MAC is valid, or the cached session contains its
// hash. Neither check is sufficient: the cache may lack a token that another replica has just issued, and the MAC key
// of an old token may have been deleted.
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

// countForged counts a forged token.
func (m *SessionManager) countForged(ctx context.Context, from Client) error {
	if err := m.Throttle.Blocked(ctx, from.Address); err != nil {
		return err
	}
	if !m.Rates.invented.allowFrom(from.Address, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return ErrRevoked
}

// countGenuine counts a genuine token.
func (m *SessionManager) countGenuine(key string) error {
	if !m.Rates.shown.allow(key, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return nil
}

// countMalformed is like countForged, for a token that cannot be parsed.
func (m *SessionManager) countMalformed(ctx context.Context, from Client, reason error) error {
	err := m.countForged(ctx, from)
	if errors.Is(err, ErrRevoked) {
		return fmt.Errorf("%w: %w", err, reason)
	}
	return err
}
