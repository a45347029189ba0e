// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/text/secure/precis"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

// queueTime bounds the time for which a login waits in one queue. A login waits in two queues: first in the queue of
// the throttle, and then in the queue of the Hasher. A new password waits only in the queue of the Hasher.
const queueTime = 5 * time.Second

var (
	// ErrInvalidCredentials is returned for a login with a wrong password, for an unknown, disabled or deleted user,
	// and for a user without a password. Clients cannot distinguish these cases.
	ErrInvalidCredentials = errors.New("wrong user name or password")
	// ErrBusy is returned for a login if too many logins are in progress. It is also returned for a request with a new
	// password, because the same queue serves logins and new passwords.
	ErrBusy = errors.New("too many logins at once")
)

// Logins authenticates users with passwords.
type Logins struct {
	// Cache reads KubeVisionUsers from an informer.
	Cache client.Reader
	// Throttle delays logins after failures, and limits the number of concurrent logins.
	Throttle      *throttle.Throttle
	Store         *CredentialsStore
	Passwords     *Passwords
	SecondFactors *SecondFactors
	Sessions      *SessionManager
	Audit         *audit.Log
}

// credentialsError is returned for a rejected login. It wraps ErrInvalidCredentials and has the same text. The reason
// is written only to the audit log. Clients do not receive the reason, because it could reveal whether a user exists.
type credentialsError struct{ reason string }

func (*credentialsError) Error() string { return ErrInvalidCredentials.Error() }
func (*credentialsError) Unwrap() error { return ErrInvalidCredentials }

// normalizeUserName converts a user name to lower case and to a uniform Unicode form, with the profile
// UsernameCaseMapped (RFC 8265). If the profile does not allow the name, normalizeUserName returns the name unchanged.
func normalizeUserName(given string) string {
	// The name is converted to lower case, because phones capitalize the first letter.
	name, err := precis.UsernameCaseMapped.String(given)
	if err != nil {
		return given // no user has this name
	}
	return name
}

// Password verifies a user name and a password, and returns a session. The time that Password takes does not reveal why
// it rejects a login. It returns these errors:
//   - a ChallengeError if the password is correct and the user has a second factor
//   - ErrInvalidCredentials if the login is rejected
//   - a throttle.BlockedError if too many logins have failed
//   - ErrBusy if too many logins are in progress
func (l *Logins) Password(ctx context.Context, username, pass string, from Client) (*Session, error) {
	// Find the user and the device, if they exist. An email address does not identify a user, because several users may
	// have the same address.
	username = normalizeUserName(username)
	u, err := l.user(ctx, username)
	if err != nil {
		return nil, err
	}
	known := l.knownDevice(u, from)
	// Wait until the attempt may run. The throttle rejects the attempt if the account, the device or the address has
	// too many failures.
	attempt, err := l.begin(ctx, u, username, known, from)
	if err != nil {
		return nil, err
	}
	defer attempt.Release()
	// Compare the password, and count a wrong one.
	secret, err := l.verify(ctx, u, credential{username: username, password: pass, device: known}, attempt)
	if errors.Is(err, ErrInvalidCredentials) {
		if countErr := l.recordFailure(ctx, attempt, u, from, err); countErr != nil {
			return nil, countErr // The result must not be returned if the failure was not counted.
		}
	}
	if err != nil {
		return nil, err
	}
	// Start the session, or request the second factor.
	session, err := l.proceed(ctx, u, pass, secret, from)
	_, challenged := errors.AsType[*ChallengeError](err)
	if err != nil && !challenged {
		return nil, err
	}
	// Reset the failures of the account before the token is returned.
	if err := attempt.Succeeded(ctx); err != nil {
		return nil, err
	}
	if challenged {
		l.Audit.Record(ctx, audit.Event{Reason: audit.SecondFactorDue, User: u, Address: from.address()})
		return nil, err
	}
	return session, nil
}

// knownDevice identifies the client by its device token, which an earlier login of the user has returned. It returns
// nil if the client has sent no valid device token of the user.
func (l *Logins) knownDevice(u *kubevisionv1alpha1.KubeVisionUser, from Client) *device {
	if u == nil { // No device token is valid for the empty UID.
		return l.Sessions.Devices.find(from.DeviceToken, "")
	}
	return l.Sessions.Devices.find(from.DeviceToken, u.UID)
}

// class returns the class of the client. If the client has sent a valid device token of the user, the class is
// KnownDevice. If not, the class depends only on the address of the client.
func (l *Logins) class(known *device, from Client) throttle.Class {
	switch {
	case known != nil:
		return throttle.KnownDevice
	case from.Trusted:
		return throttle.TrustedNetwork
	case l.Sessions.Index.HasSessionFrom(from.Address):
		return throttle.KnownAddress
	default:
		return throttle.Stranger
	}
}

// begin waits until the throttle allows the comparison of the password. It returns a throttle.BlockedError after too
// many failures, and ErrBusy if the attempt would wait too long.
func (l *Logins) begin(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, username string, known *device, from Client,
) (*throttle.Attempt, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	attempt, err := l.Throttle.Begin(ctx, throttle.Login{
		User: u, Name: username, Address: from.Address, Device: known.hexID(), Class: l.class(known, from),
	})
	if _, blocked := errors.AsType[*throttle.BlockedError](err); blocked {
		l.Audit.Record(ctx, audit.Event{Reason: audit.LoginBlocked, User: u, Address: from.address()})
	}
	return attempt, wrapBusy(err)
}

// recordFailure records audit events for a failed login, and counts the failure. It returns an error if the failure was
// not counted.
func (l *Logins) recordFailure(
	ctx context.Context, attempt *throttle.Attempt, u *kubevisionv1alpha1.KubeVisionUser, from Client, why error,
) error {
	e := audit.Event{Reason: audit.LoginFailed, User: u, Address: from.address()}
	if r, ok := errors.AsType[*credentialsError](why); ok {
		e.Detail = r.reason
	}
	l.Audit.Record(ctx, e)
	blocked, err := attempt.Failed(ctx)
	if blocked.Account > 0 {
		l.Audit.Record(ctx, audit.Event{Reason: audit.AccountLocked, User: u, Address: from.address(), Detail: "for " +
			blocked.Account.String()})
	}
	if blocked.Address > 0 {
		l.Audit.Record(ctx, audit.Event{Reason: audit.AddressBlocked, Address: from.address(), Detail: "for " +
			blocked.Address.String()})
	}
	return err
}

// credential contains what a client has sent to log in.
type credential struct {
	username, password string
	device             *device
}

// verify compares the password in given with the stored hash, and returns the Secret with the credentials of the user.
// It returns a credentialsError if the login is rejected.
func (l *Logins) verify(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, given credential, attempt *throttle.Attempt,
) (*corev1.Secret, error) {
	secret, err := l.Store.get(ctx, given.username)
	if err != nil {
		return nil, err
	}
	if u == nil || !isOwnedBy(secret, u.UID) {
		secret = &corev1.Secret{} // The Secret does not exist, or belongs to another user.
	}
	// If the device token was issued for earlier credentials, the device counts as unknown.
	if given.device != nil && !given.device.matchesEpoch(credentials.Epoch(secret)) {
		if err := attempt.SetUnknownDevice(ctx); err != nil {
			return nil, err
		}
	}
	hash, known, err := credentials.PasswordHash(secret)
	if err != nil {
		return nil, err
	}
	right, err := l.Passwords.compare(ctx, given.password, hash, known)
	if err != nil {
		return nil, err
	}
	return secret, checkOutcome(u, known, right)
}

// proceed continues a login after the password was verified. If the user has a second factor, it returns a
// ChallengeError. If the user has none, it starts a session. It also replaces a stored hash whose cost is too low.
func (l *Logins) proceed(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, pass string, secret *corev1.Secret, from Client,
) (*Session, error) {
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return nil, err
	}
	hash, _, err := credentials.PasswordHash(secret)
	if err != nil {
		return nil, err
	}
	if hash.NeedsRehash() {
		l.Passwords.upgrade(ctx, u, pass, hash)
	}
	if factor.Enabled() {
		return nil, l.SecondFactors.challenge(ctx, u, credentials.Epoch(secret))
	}
	return l.Sessions.start(ctx, u, secret, []string{methodPassword}, from)
}

// checkOutcome returns the reason for which a login is rejected, or nil. hasPassword is true if the user has a
// password, and isCorrect is true if the given password is correct.
func checkOutcome(u *kubevisionv1alpha1.KubeVisionUser, hasPassword, isCorrect bool) error {
	switch {
	case u == nil:
		return &credentialsError{"there is no such user"}
	case !hasPassword:
		return &credentialsError{"the user has no password"}
	case !isCorrect:
		return &credentialsError{"the password is wrong"}
	case u.Spec.Disabled:
		return &credentialsError{"the user is disabled"}
	case !u.DeletionTimestamp.IsZero():
		return &credentialsError{"the user is being deleted"}
	default:
		return nil
	}
}

// user returns the KubeVisionUser with the name, or nil if there is none.
func (l *Logins) user(ctx context.Context, name string) (*kubevisionv1alpha1.KubeVisionUser, error) {
	u := &kubevisionv1alpha1.KubeVisionUser{}
	err := l.Cache.Get(ctx, types.NamespacedName{Name: name}, u)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // the login of an unknown user continues
	}
	if err != nil {
		return nil, fmt.Errorf("reading the user: %w", err)
	}
	return u, nil
}
