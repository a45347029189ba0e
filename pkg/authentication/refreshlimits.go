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
	// rateInterval is the time after which a client that has reached a rate limit may send one more request.
	rateInterval = time.Second
	// rejectedBurst is the number of rejected requests that one client may cause without a pause, for example with
	// forged refresh tokens. After these requests, the client may cause one rejected request in each rateInterval.
	rejectedBurst = 60
	// genuineBurst is the number of requests that are accepted for one session without a pause. Only requests with
	// genuine tokens count: tokens that this installation has issued. After these requests, one request is accepted in
	// each rateInterval, because each request calls the API server.
	genuineBurst = 60
)

// RefreshLimits limits the rate of requests with refresh tokens. Forged tokens are limited for each address. Genuine
// tokens, which this installation has issued, are limited for each session. Each replica has its own limits.
type RefreshLimits struct {
	forged, genuine *rateLimiters
	deletedSessions *DeletedObjects
}

// NewRefreshLimits returns RefreshLimits with the given list of deleted sessions.
func NewRefreshLimits(deletedSessions *DeletedObjects) *RefreshLimits {
	return &RefreshLimits{
		forged: newRateLimiters(rejectedBurst), genuine: newRateLimiters(genuineBurst),
		deletedSessions: deletedSessions,
	}
}

// admitRefresh returns nil if the API server may be called to verify the refresh token. It returns ErrRevoked if the
// token is forged or its session was deleted. It returns a throttle.BlockedError after too many requests.
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

// isGenuine returns true if this installation has issued the refresh token. One of two proofs is sufficient: the MAC of
// the token is valid, or the cached session contains the hash of the token. The MAC of an old token can be invalid,
// because the signing key was deleted. The cache can lack a session that another replica has just created.
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

// countForged counts a forged token. It always returns an error: a throttle.BlockedError if the client address is
// blocked, or ErrRevoked if it is not blocked.
func (m *SessionManager) countForged(ctx context.Context, from Client) error {
	// Failed logins also block the address.
	if err := m.Throttle.Blocked(ctx, from.Address); err != nil {
		return err
	}
	if !m.Rates.forged.allowFrom(from.Address, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return ErrRevoked
}

// countGenuine counts a request with a genuine token, which is a token that this installation has issued. The key
// identifies a session, or a login that waits for a code. After too many requests with the same key, countGenuine
// returns a throttle.BlockedError.
func (m *SessionManager) countGenuine(key string) error {
	if !m.Rates.genuine.allow(key, m.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return nil
}

// countMalformed counts a malformed refresh token. It always returns an error: a throttle.BlockedError if the client
// address is blocked, or ErrRevoked with the given reason if it is not blocked.
func (m *SessionManager) countMalformed(ctx context.Context, from Client, reason error) error {
	err := m.countForged(ctx, from)
	if errors.Is(err, ErrRevoked) {
		return fmt.Errorf("%w: %w", err, reason)
	}
	return err
}
