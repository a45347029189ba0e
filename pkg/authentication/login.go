// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// SessionTTL is how long a session lasts without being renewed.
	SessionTTL = 7 * 24 * time.Hour

	maxUserAgent = 256
)

// ErrInvalidCredentials is the one answer to a wrong password, an unknown, disabled or deleted user, and a user without a password.
var ErrInvalidCredentials = errors.New("wrong user name or password")

// Session is what a login or a renewal gives to the client.
type Session struct {
	User         *kubevisionv1alpha1.KubeVisionUser
	AccessToken  string
	RefreshToken string
	ExpiresIn    time.Duration
	// SetupRequired means that the session is good for nothing but setting up a second factor.
	SetupRequired bool
}

// Logins logs users in.
type Logins struct {
	// Cache holds the users.
	Cache client.Reader
	// Client reads credentials and writes sessions.
	Client client.Client
	// Hasher verifies passwords.
	Hasher *password.Hasher
	// Tokens signs access tokens.
	Tokens *token.Service
	// Challenges signs and verifies challenge tokens.
	Challenges *token.Service
	// Clock is the time by which sessions end.
	Clock clock.PassiveClock
}

// Password logs in with a user name and a password. Whatever is wrong with them, the same work is done and the same error returned. It is
// a ChallengeError where the second factor is due.
func (l *Logins) Password(ctx context.Context, username, pass string, from kubevisionv1alpha1.SessionClient) (*Session, error) {
	u, err := l.user(ctx, username)
	if err != nil {
		return nil, err
	}
	secret, err := l.credentials(ctx, username)
	if err != nil {
		return nil, err
	}
	if u == nil || !ownedBy(secret, u.UID) {
		secret = &corev1.Secret{} // nobody's, or somebody else's
	}
	hash, known, err := credentials.PasswordHash(secret)
	if err != nil {
		return nil, err
	}
	if known {
		err = l.Hasher.Verify(ctx, pass, hash)
	} else {
		err = l.Hasher.VerifyNobody(ctx, pass)
	}
	switch {
	case errors.Is(err, password.ErrMismatch):
		return nil, ErrInvalidCredentials
	case err != nil:
		return nil, fmt.Errorf("verifying the password: %w", err)
	case u == nil || u.Spec.Disabled || !u.DeletionTimestamp.IsZero():
		return nil, ErrInvalidCredentials
	}
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return nil, err
	}
	if factor.Enabled() {
		return nil, l.challenge(ctx, u)
	}
	return l.begin(ctx, u, []string{methodPassword}, from)
}

// user is nil where there is none of that name.
func (l *Logins) user(ctx context.Context, name string) (*kubevisionv1alpha1.KubeVisionUser, error) {
	u := &kubevisionv1alpha1.KubeVisionUser{}
	err := l.Cache.Get(ctx, types.NamespacedName{Name: name}, u)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // nobody is an answer here, and takes the same path as somebody
	}
	if err != nil {
		return nil, fmt.Errorf("reading the user: %w", err)
	}
	return u, nil
}

// credentials is an empty Secret where there is none. It makes the same call for a name that no user can have.
func (l *Logins) credentials(ctx context.Context, username string) (*corev1.Secret, error) {
	if len(utilvalidation.IsDNS1123Subdomain(username)) > 0 {
		username = "-"
	}
	secret := &corev1.Secret{}
	err := l.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(username)}, secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	return secret, nil
}

// begin hands out no token before its session is stored, and stores no session for which there is no token.
func (l *Logins) begin(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, methods []string, from kubevisionv1alpha1.SessionClient) (*Session, error) {
	now := l.Clock.Now()
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a session id: %w", err)
	}
	name := strings.ToLower(id.String())
	refresh, err := newRefreshToken(name)
	if err != nil {
		return nil, err
	}
	begun, err := l.issue(u, name, methods, refresh)
	if err != nil {
		return nil, err
	}
	from.UserAgent = truncate(from.UserAgent, maxUserAgent)
	session := &kubevisionv1alpha1.KubeVisionSession{
		ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{names.UserLabel: u.Name, names.ManagedByLabel: names.ManagedBy},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: "KubeVisionUser", Name: u.Name, UID: u.UID,
			}},
		},
		Spec: kubevisionv1alpha1.KubeVisionSessionSpec{
			UserName: u.Name, UserUID: u.UID, Client: from, AuthenticationMethods: methods,
			ExpirationTime: metav1.NewTime(now.Add(SessionTTL)), RefreshTokenHash: refresh.hash(),
		},
	}
	if err := l.Client.Create(ctx, session); err != nil {
		return nil, fmt.Errorf("creating the session: %w", err)
	}
	return begun, nil
}

func truncate(s string, length int) string {
	if len(s) > length {
		s = s[:length]
	}
	return strings.ToValidUTF8(s, "")
}
