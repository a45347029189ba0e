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
	// rateInterval is the time after which one more is allowed.
	rateInterval = time.Second
	// inventedBurst is how many refresh tokens that are not genuine an address may show at once.
	inventedBurst = 60
	// shownBurst is how often a session may be renewed, and a challenge answered, at once: each asks the API server.
	shownBurst = 60
)

// Rates bound what is done for tokens that are not genuine, or are shown too often. They are those of one replica.
type Rates struct {
	invented, shown *rates
	gone            *Gone
}

// NewRates returns rates that remember which sessions are no more.
func NewRates(gone *Gone) *Rates {
	return &Rates{invented: newRates(inventedBurst), shown: newRates(shownBurst), gone: gone}
}

// admit lets a refresh token pass that is worth a call. It is ErrRevoked for one that is not genuine or whose session is no more, and a
// throttle.BlockedError where too many of those came from the address, too many logins failed there, or the session is renewed too often.
func (l *Logins) admit(ctx context.Context, presented refreshToken, from Client) error {
	genuine, err := l.genuine(ctx, presented)
	if err != nil {
		return err
	}
	if !genuine {
		return l.invented(ctx, from)
	}
	if l.Rates.gone.has(presented.session) {
		return ErrRevoked
	}
	return l.shown(presented.session)
}

// genuine says whether a token was made here: it has a code of ours, or the watched copy of the session knows it. The copy is not enough for
// one that another replica made a moment ago, nor the code for one whose key is no more.
func (l *Logins) genuine(ctx context.Context, presented refreshToken) (bool, error) {
	if presented.signed(l.RefreshMAC) {
		return true, nil
	}
	session := &kubevisionv1alpha1.KubeVisionSession{}
	err := l.Cache.Get(ctx, types.NamespacedName{Name: presented.session}, session)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the session: %w", err)
	}
	hash := presented.hash()
	return hash == session.Spec.RefreshTokenHash || slices.Contains(session.Spec.PreviousRefreshTokenHashes, hash), nil
}

// invented counts a token that is not genuine.
func (l *Logins) invented(ctx context.Context, from Client) error {
	if err := l.Throttle.Blocked(ctx, from.Address); err != nil {
		return err
	}
	if !l.Rates.invented.allowFrom(from.Address, l.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return ErrRevoked
}

// shown counts a genuine token.
func (l *Logins) shown(key string) error {
	if !l.Rates.shown.allow(key, l.Clock.Now()) {
		return &throttle.BlockedError{RetryAfter: rateInterval}
	}
	return nil
}

// refused is invented for what cannot be parsed.
func (l *Logins) refused(ctx context.Context, from Client, reason error) error {
	err := l.invented(ctx, from)
	if errors.Is(err, ErrRevoked) {
		return fmt.Errorf("%w: %w", err, reason)
	}
	return err
}
