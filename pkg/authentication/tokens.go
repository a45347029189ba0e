// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authentication says who is calling: it logs users in, and recognises them by their access tokens.
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
	// ErrSessionEnded is returned for an access token that was issued for a session that has ended, or whose user may not
	// log in any more.
	ErrSessionEnded = errors.New("the session of the token has ended")
	// ErrRevoked is returned for a refresh token or a challenge that is worth nothing any more, and for an access token
	// that names a session of another user.
	ErrRevoked = errors.New("the token is not valid any more")
)

// Principal is a KubeVisionUser who is logged in, as Kubernetes sees them.
type Principal struct {
	user.DefaultInfo

	// User is the object as it was when the request was authenticated. It is not to be changed.
	User *kubevisionv1alpha1.KubeVisionUser
	// Session is the name of the session object.
	Session string
	// Epoch is that of the credentials in which the session began.
	Epoch string
	// AuthTime is when the user logged in, zero if the token does not tell.
	AuthTime time.Time
	// Methods are how the user authenticated.
	Methods []string
	// SetupRequired means that the user must set up a second factor before anything else.
	SetupRequired bool
	// PasswordChangeRequired means that the user must choose another password before anything else.
	PasswordChangeRequired bool
}

// Tokens recognises users by their access tokens.
type Tokens struct {
	// Service verifies the tokens themselves.
	Service *token.Service
	// Cache holds users and sessions; reading it makes no call.
	Cache client.Reader
	// Live reads what the cache does not know yet: the session of a login that was a moment ago.
	Live client.Reader
	// Gone remembers what Live does not know either.
	Gone *Gone
	// Policy says who must have a second factor.
	Policy *TwoFactorPolicy
	// Clock is the time by which sessions end.
	Clock clock.PassiveClock
}

// Authenticate returns the user who holds the token. It returns token.ErrExpired for a genuine one that is too old,
// ErrSessionEnded for one whose session has ended, and another error for one that is worth nothing. A session that is
// not there has ended: its name was signed here, and it is deleted at its end.
func (t *Tokens) Authenticate(ctx context.Context, raw string) (*Principal, error) {
	claims, err := t.Service.Verify(raw)
	if err != nil {
		return nil, err
	}
	s := &kubevisionv1alpha1.KubeVisionSession{}
	if err := t.get(ctx, claims.Session, claims.Session, s); err != nil {
		return nil, err
	}
	if string(s.Spec.UserUID) != claims.UserUID || s.Spec.UserName != claims.Subject {
		return nil, ErrRevoked
	}
	if !s.DeletionTimestamp.IsZero() || !t.Clock.Now().Before(s.Spec.ExpirationTime.Time) {
		return nil, ErrSessionEnded
	}
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := t.get(ctx, claims.Subject, claims.UserUID, u); err != nil {
		return nil, err
	}
	if u.UID != s.Spec.UserUID || u.Spec.Disabled || !u.DeletionTimestamp.IsZero() {
		return nil, ErrSessionEnded
	}
	p, err := t.principal(ctx, u, s)
	if err == nil && (p.SetupRequired || p.PasswordChangeRequired) { // perhaps it was done a moment ago, and the copy does not know
		if err := t.Live.Get(ctx, types.NamespacedName{Name: s.Name}, s); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		p, err = t.principal(ctx, u, s)
	}
	if err != nil {
		return nil, err
	}
	p.AuthTime = claims.AuthTime
	return p, nil
}

func (t *Tokens) principal(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, s *kubevisionv1alpha1.KubeVisionSession) (*Principal, error) {
	setup, err := t.Policy.SetupRequired(ctx, u, s.Spec.AuthenticationMethods)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p := NewPrincipal(u)
	p.Session, p.Epoch, p.Methods = s.Name, s.Spec.CredentialsEpoch, s.Spec.AuthenticationMethods
	p.SetupRequired, p.PasswordChangeRequired = setup, s.Spec.PasswordChangeRequired
	return p, nil
}

// NewPrincipal is the user as Kubernetes sees them, without a session.
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

// get asks the API server only about the names in a genuine token that the cache lacks, and once about those that are no more, so that nobody
// can cause calls with invented names, nor with a token that has outlived its session.
func (t *Tokens) get(ctx context.Context, name, identity string, into client.Object) error {
	key := types.NamespacedName{Name: name}
	err := t.Cache.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		if t.Gone.has(identity) {
			return ErrSessionEnded
		}
		err = t.Live.Get(ctx, key, into)
	}
	if apierrors.IsNotFound(err) {
		t.Gone.add(identity)
		return ErrSessionEnded
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// ErrUnavailable means that it could not be found out who is calling.
var ErrUnavailable = errors.New("users and sessions cannot be read")
