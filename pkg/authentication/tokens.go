// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authentication authenticates users of the dashboard. It implements logins with passwords and second factors,
// the set-up of second factors, and sessions. It also implements the credentials: access tokens, refresh tokens, device
// tokens, set-up tokens, tokens of logins that wait for a code, and tickets of streams.
package authentication

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/identity"
)

var (
	// ErrSessionEnded is returned for an access token whose session has ended or whose user may no longer log in.
	ErrSessionEnded = errors.New("the session of the token has ended")
	// ErrRevoked is returned for a refresh token, challenge token or set-up token that is invalid or was revoked. It is
	// also returned for an access token or ticket whose user is not the user of the session.
	ErrRevoked = errors.New("the token is no longer valid")
)

// Principal is the authenticated KubeVisionUser of a request. It implements user.Info.
type Principal struct {
	user.DefaultInfo

	// User is the KubeVisionUser at the time of the authentication. It must not be modified.
	User *kubevisionv1alpha1.KubeVisionUser
	// Session is the name of the KubeVisionSession.
	Session string
	// Epoch is the epoch of the user's credentials when the session began. The epoch is a random value that changes
	// together with the password or the second factor.
	Epoch string
	// AuthTime is the time of the login, or zero if this time is unknown. It is unknown if the access token does not
	// contain it. It is also unknown if the request was authenticated with a ticket, which is a one-time credential for
	// a stream.
	AuthTime time.Time
	// Expires is the time at which the access token expires. It is zero if the request was authenticated with a ticket,
	// which is a one-time credential for a stream.
	Expires time.Time
	// Ticket is the ticket with which the request was authenticated, or nil. Tickets.Spend invalidates it when the
	// stream opens.
	Ticket *Ticket
	// Methods are the authentication methods of the login: pwd, otp, recovery.
	Methods []string
	// SetupRequired is true if the user must set up a second factor. Until then, only the set-up and a few other
	// requests are allowed.
	SetupRequired bool
	// PasswordChangeRequired is true if the user must change the password. Until then, only the change and a few other
	// requests are allowed.
	PasswordChangeRequired bool
}

// Tokens authenticates requests with access tokens.
type Tokens struct {
	// Service verifies the tokens.
	Service *token.Service
	// Cache reads KubeVisionUsers and KubeVisionSessions from informers.
	Cache client.Reader
	// Live reads from the API server, for example a session that the cache does not contain yet.
	Live client.Reader
	// Gone caches the names of sessions and the UIDs of users that the API server has not found. Further requests with
	// tokens of these sessions and users do not call the API server.
	Gone *DeletedObjects
	// Policy determines which users must have a second factor.
	Policy *TwoFactorPolicy
	// Clock is used to check the expiry of sessions.
	Clock clock.PassiveClock
}

// Authenticate returns the user of an access token. It returns these errors:
//   - token.ErrExpired if the token has expired
//   - ErrSessionEnded if the session of the token has ended or does not exist
//   - ErrUnavailable if users or sessions cannot be read
//   - another error if the token is invalid
func (t *Tokens) Authenticate(ctx context.Context, raw string) (*Principal, error) {
	claims, err := t.Service.Verify(raw)
	if err != nil {
		return nil, err
	}
	p, err := t.inSession(ctx, claims.Session, claims.UserUID, claims.Subject)
	if err != nil {
		return nil, err
	}
	p.AuthTime, p.Expires = claims.AuthTime, claims.Expires
	return p, nil
}

// Recheck authenticates the user of a Principal again, and returns a Principal with the current data of the user and
// the session. It returns the same errors as Authenticate, except errors about the token.
func (t *Tokens) Recheck(ctx context.Context, p *Principal) (*Principal, error) {
	return t.inSession(ctx, p.Session, string(p.User.UID), p.User.Name)
}

// inSession returns the user of a session. The caller must have taken the names of the session and the user, and the
// UID of the user, from a verified token.
func (t *Tokens) inSession(ctx context.Context, session, uid, name string) (*Principal, error) {
	s := &kubevisionv1alpha1.KubeVisionSession{}
	// The session and the user belong to the cache, and must not be modified.
	if err := t.get(ctx, session, session, s, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	if string(s.Spec.UserUID) != uid || s.Spec.UserName != name {
		return nil, ErrRevoked
	}
	if !s.DeletionTimestamp.IsZero() || !t.Clock.Now().Before(s.Spec.ExpirationTime.Time) {
		return nil, ErrSessionEnded
	}
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := t.get(ctx, name, uid, u, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	if u.UID != s.Spec.UserUID || u.Spec.Disabled || !u.DeletionTimestamp.IsZero() {
		return nil, ErrSessionEnded
	}
	p, err := t.principal(ctx, u, s)
	// The cache may be outdated: the user may have set up a second factor or changed the password a moment ago.
	// Therefore, the session is read again without the cache.
	if err == nil && (p.SetupRequired || p.PasswordChangeRequired) {
		live := &kubevisionv1alpha1.KubeVisionSession{}
		switch err := t.Live.Get(ctx, types.NamespacedName{Name: s.Name}, live); {
		case err == nil:
			s = live
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		p, err = t.principal(ctx, u, s)
	}
	return p, err
}

func (t *Tokens) principal(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, s *kubevisionv1alpha1.KubeVisionSession,
) (*Principal, error) {
	setup, err := t.Policy.SetupRequired(ctx, u, s.Spec.AuthenticationMethods)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p := NewPrincipal(u)
	p.Session, p.Epoch, p.Methods = s.Name, s.Spec.CredentialsEpoch, s.Spec.AuthenticationMethods
	p.SetupRequired, p.PasswordChangeRequired = setup, s.Spec.PasswordChangeRequired
	return p, nil
}

// NewPrincipal returns a Principal for the user, without a session.
func NewPrincipal(u *kubevisionv1alpha1.KubeVisionUser) *Principal {
	return &Principal{
		DefaultInfo: user.DefaultInfo{
			Name:   identity.UserName(u.Name),
			UID:    string(u.UID),
			Groups: append(identity.Groups(u.Spec.Groups), user.AllAuthenticated),
		},
		User: u,
	}
}

// get reads an object from the cache, or from the API server if the cache does not have the object. It returns
// ErrSessionEnded if neither has the object. goneKey identifies the object in t.Gone, the cache of deleted objects.
func (t *Tokens) get(
	ctx context.Context, name, goneKey string, into client.Object, options ...client.GetOption,
) error {
	key := types.NamespacedName{Name: name}
	err := t.Cache.Get(ctx, key, into, options...)
	if apierrors.IsNotFound(err) {
		if t.Gone.has(goneKey) {
			return ErrSessionEnded
		}
		err = t.Live.Get(ctx, key, into)
	}
	if apierrors.IsNotFound(err) {
		// Further requests with the same token do not call the API server.
		t.Gone.add(goneKey)
		return ErrSessionEnded
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// ErrUnavailable is returned if users or sessions cannot be read.
var ErrUnavailable = errors.New("users and sessions cannot be read")
