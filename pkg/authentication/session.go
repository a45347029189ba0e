// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// SessionTTL is the lifetime of a session after the login. Each renewal of the session begins a new lifetime.
	SessionTTL = 7 * 24 * time.Hour

	maxUserAgent = 256
)

// Session is the result of a login or a renewal.
type Session struct {
	User         *kubevisionv1alpha1.KubeVisionUser
	AccessToken  string
	RefreshToken string
	// DeviceToken identifies the client at its next login. Failed logins of other clients then do not delay this login.
	DeviceToken string
	ExpiresIn   time.Duration
	// SetupRequired is true if the session allows only the set-up of a second factor.
	SetupRequired bool
	// SetupToken is the challenge token for SecondFactors.VerifyTOTP if SetupRequired is true. Otherwise, it is empty.
	SetupToken string
	// PasswordChangeRequired is true if the session allows only a change of the password.
	PasswordChangeRequired bool
}

// SessionManager creates, renews and ends KubeVisionSessions, and issues their tokens.
type SessionManager struct {
	Store *CredentialsStore
	// Cache reads KubeVisionSessions from an informer.
	Cache client.Reader
	// Client reads and writes KubeVisionSessions without a cache.
	Client client.Client
	// Policy determines which users must have a second factor.
	Policy *TwoFactorPolicy
	// Tokens signs access tokens.
	Tokens *token.Service
	// Setups signs and verifies the tokens in Session.SetupToken, with which users set up a second factor.
	Setups *token.Service
	// RefreshMAC authenticates refresh tokens.
	RefreshMAC *token.MAC
	// Devices issues and verifies device tokens.
	Devices *Devices
	// Index contains all sessions.
	Index *sessionindex.Index
	// Limits bounds the number of sessions.
	Limits sessionindex.Limits
	// Rates limits how often a session can be renewed, and how many forged refresh tokens a client can send.
	Rates *RefreshLimits
	// Throttle contains the addresses that are blocked because of failed logins.
	Throttle *throttle.Throttle
	Audit    *audit.Log
	// Clock is used to check the expiry of sessions.
	Clock clock.PassiveClock
}

// start creates a session after a login that was verified with the credentials in secret. It returns ErrRevoked if
// secret is outdated, or if the user may no longer log in.
func (m *SessionManager) start(
	ctx context.Context, known *kubevisionv1alpha1.KubeVisionUser, secret *corev1.Secret, methods []string, from Client,
) (*Session, error) {
	name, err := m.newName()
	if err != nil {
		return nil, err
	}
	return m.startNamed(ctx, name, known, secret, methods, from)
}

// newName returns a new name for a session: a ULID in lower case.
func (m *SessionManager) newName() (string, error) {
	id, err := ulid.New(ulid.Timestamp(m.Clock.Now()), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("creating a session id: %w", err)
	}
	return strings.ToLower(id.String()), nil
}

// startNamed creates a session with the given name after a login that was verified with the credentials in secret. It
// returns ErrRevoked if secret is outdated, or if the user may no longer log in.
func (m *SessionManager) startNamed(
	ctx context.Context, name string, known *kubevisionv1alpha1.KubeVisionUser, secret *corev1.Secret, methods []string,
	from Client,
) (*Session, error) {
	// The cached user may not show yet that the user was disabled or must change the password.
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := m.Store.readUser(ctx, known.Name, known.UID, u); err != nil {
		return nil, err
	}
	now := m.Clock.Now()
	refresh, err := newRefreshToken(name)
	if err != nil {
		return nil, err
	}
	session := &kubevisionv1alpha1.KubeVisionSession{
		ObjectMeta: metav1.ObjectMeta{
			Name:            name,
			Labels:          map[string]string{names.UserLabel: u.Name, names.ManagedByLabel: names.ManagedBy},
			OwnerReferences: kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u),
		},
		Spec: kubevisionv1alpha1.KubeVisionSessionSpec{
			UserName: u.Name, UserUID: u.UID, AuthenticationMethods: methods,
			Client: kubevisionv1alpha1.SessionClient{Address: from.address(),
				UserAgent: truncate(from.UserAgent, maxUserAgent)},
			ExpirationTime: metav1.NewTime(now.Add(SessionTTL)), RefreshTokenHash: refresh.hash(),
			CredentialsEpoch:       credentials.Epoch(secret),
			PasswordChangeRequired: u.Spec.MustChangePassword && !credentials.PasswordChosen(secret),
		},
	}
	issued, err := m.signTokens(ctx, u, session, refresh, session.Spec.CredentialsEpoch, from)
	if err != nil {
		return nil, err
	}
	if err := m.create(ctx, u, session); err != nil {
		return nil, err
	}
	if err := m.confirm(ctx, u, session); err != nil {
		return nil, err
	}
	m.Audit.Record(ctx, audit.Event{
		Reason: audit.LoggedIn, User: u, Address: from.address(), Session: name, Detail: strings.Join(methods, "+"),
	})
	return issued, nil
}

// create stores a session, and concurrently deletes older sessions that exceed the limits. After concurrent logins on
// several replicas, there may still be too many sessions. The session controller deletes them.
func (m *SessionManager) create(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session *kubevisionv1alpha1.KubeVisionSession,
) error {
	var group sync.WaitGroup
	defer group.Wait()
	for _, s := range m.Index.Excess(u.UID, 1, m.Limits) {
		group.Go(func() {
			if err := sessionindex.End(ctx, m.Client, m.Audit, s); err != nil {
				klog.FromContext(ctx).Error(err, "Failed to end old sessions of a user", "user", u.Name)
			}
		})
	}
	if err := m.Client.Create(ctx, session); err != nil {
		return fmt.Errorf("creating the session: %w", err)
	}
	return nil
}

// confirm compares the epoch of the current credentials (see credentials.Epoch) with the epoch in the new session. If
// they differ, confirm deletes the session and returns ErrRevoked. If the credentials cannot be read, confirm also
// deletes the session, and returns the error.
//
// A change of the credentials lists the sessions of the user and deletes them. Without confirm, a session that is
// created immediately after the list would remain.
func (m *SessionManager) confirm(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session *kubevisionv1alpha1.KubeVisionSession,
) error {
	now, err := m.Store.get(ctx, u.Name)
	if err == nil && isOwnedBy(now, u.UID) && credentials.Epoch(now) == session.Spec.CredentialsEpoch {
		return nil
	}
	if deleteErr := m.Client.Delete(ctx, session); client.IgnoreNotFound(deleteErr) != nil {
		return errors.Join(err, fmt.Errorf("deleting the session: %w", deleteErr))
	}
	if err != nil {
		return err
	}
	return ErrRevoked
}

func (m *SessionManager) signTokens(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session *kubevisionv1alpha1.KubeVisionSession,
	refresh refreshToken,
	epoch string, from Client,
) (*Session, error) {
	methods := session.Spec.AuthenticationMethods
	setup, err := m.Policy.SetupRequired(ctx, u, methods)
	if err != nil {
		return nil, err
	}
	access, err := m.Tokens.Sign(token.Claims{
		Subject: u.Name, UserUID: string(u.UID), Session: session.Name, Methods: methods,
		AuthTime: m.loginTime(session),
	})
	if err != nil {
		return nil, fmt.Errorf("signing an access token: %w", err)
	}
	text, err := refresh.sign(m.RefreshMAC)
	if err != nil {
		return nil, err
	}
	known, err := m.Devices.issue(m.Devices.find(from.DeviceToken, u.UID), session.Name, u.UID, epoch)
	if err != nil {
		return nil, err
	}
	out := &Session{
		User: u, AccessToken: access, RefreshToken: text, DeviceToken: known, ExpiresIn: m.Tokens.TTL(),
		SetupRequired: setup, PasswordChangeRequired: session.Spec.PasswordChangeRequired,
	}
	if setup {
		out.SetupToken, err = m.setupToken(u, session)
	}
	return out, err
}

// loginTime returns the time of the login, which is the creation time of the session. If the session is not stored yet,
// it returns the current time.
func (m *SessionManager) loginTime(session *kubevisionv1alpha1.KubeVisionSession) time.Time {
	if session.CreationTimestamp.IsZero() {
		return m.Clock.Now()
	}
	return session.CreationTimestamp.Time
}

// update calls change() with the spec of the session, and stores the session.
func (m *SessionManager) update(
	ctx context.Context, name string, change func(*kubevisionv1alpha1.KubeVisionSessionSpec),
) error {
	return retry.RetryOnConflict(conflictBackoff(), func() error {
		s := &kubevisionv1alpha1.KubeVisionSession{}
		if err := m.Client.Get(ctx, types.NamespacedName{Name: name}, s); err != nil {
			return fmt.Errorf("reading the session: %w", err)
		}
		change(&s.Spec)
		if err := m.Client.Update(ctx, s); err != nil {
			return fmt.Errorf("updating the session: %w", err)
		}
		return nil
	})
}

// endOthers deletes the other sessions of the user. The caller must first change the epoch of the credentials (see
// credentials.BeginEpoch). If a concurrent login with the previous credentials creates a session, the user controller
// deletes this session.
func (m *SessionManager) endOthers(ctx context.Context, p *Principal) error {
	var all kubevisionv1alpha1.KubeVisionSessionList
	if err := m.Client.List(ctx, &all, client.MatchingLabels{names.UserLabel: p.User.Name}); err != nil {
		return fmt.Errorf("listing sessions: %w", err)
	}
	_, err := sessionindex.EndAll(ctx, m.Client,
		slices.DeleteFunc(all.Items, func(s kubevisionv1alpha1.KubeVisionSession) bool {
			return s.Name == p.Session || s.Spec.UserUID != p.User.UID
		}))
	return err
}

func truncate(s string, length int) string {
	if len(s) > length {
		s = s[:length]
	}
	return strings.ToValidUTF8(s, "")
}
