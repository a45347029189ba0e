// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/text/secure/precis"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// queueTime bounds the wait of a login for the hasher.
const queueTime = 5 * time.Second

var (
	// ErrInvalidCredentials is returned alike for a wrong password, for an unknown, disabled or deleted user, and for a
	// user without a password.
	ErrInvalidCredentials = errors.New("wrong user name or password")
	// ErrBusy is returned when too many logins are in progress.
	ErrBusy = errors.New("too many logins at once")
)

// Client is the origin of a request.
type Client struct {
	// Address is the address of the client, as far as it can be determined.
	Address netip.Addr
	// UserAgent is the User-Agent header of the request.
	UserAgent string
	// DeviceToken is the token that an earlier login gave to the client, if the client sends one.
	DeviceToken string
	// Trusted is true for an address in a network that the administrator trusts.
	Trusted bool
}

func (c Client) address() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}

// Logins logs users in, and changes their passwords and second factors.
type Logins struct {
	// Cache reads the users.
	Cache client.Reader
	// Client reads credentials and writes sessions.
	Client client.Client
	// Hasher verifies passwords.
	Hasher *password.Hasher
	// Throttle delays logins after failures.
	Throttle *throttle.Throttle
	// Policy decides which users must have a second factor.
	Policy *TwoFactorPolicy
	// Tokens signs access tokens.
	Tokens *token.Service
	// Challenges signs and verifies challenge tokens.
	Challenges *token.Service
	// Setups signs and verifies the tokens of logins that wait for the set-up of a second factor.
	Setups *token.Service
	// RefreshMAC authenticates refresh tokens.
	RefreshMAC *token.MAC
	// Devices recognizes devices that have logged in before.
	Devices *Devices
	// Sessions counts the sessions. Limits bounds them.
	Sessions *sessionindex.Index
	Limits   sessionindex.Limits
	// Rates limits the work for tokens that are not genuine or are sent too often.
	Rates *RefreshLimits
	// LoginCodeTTL is the time for which the one-time code of a login replaces fresh codes in its session; 0 disables
	// it.
	LoginCodeTTL time.Duration
	// Audit records all changes.
	Audit *audit.Log
	// Clock decides when sessions end.
	Clock clock.PassiveClock
}

// credentialsError is ErrInvalidCredentials with a reason, which only the log may contain.
type credentialsError struct{ reason string }

func (*credentialsError) Error() string { return ErrInvalidCredentials.Error() }
func (*credentialsError) Unwrap() error { return ErrInvalidCredentials }

// normalizeUserName returns the name that somebody means who logs in. Names of users are lower case, and phones begin a field
// in upper case: the profile UsernameCaseMapped (RFC 8265) makes them one, and other widths and forms of characters,
// too. What it does not allow is nobody's name. A mail address is none either: several users may have the same one.
func normalizeUserName(given string) string {
	name, err := precis.UsernameCaseMapped.String(given)
	if err != nil {
		return given
	}
	return name
}

// Password logs in with a user name and a password. Whatever is wrong with them, the same work is done and the same error returned. It is
// a ChallengeError where the second factor is due, a throttle.BlockedError where too many logins have failed, and ErrBusy where too many
// are under way.
func (l *Logins) Password(ctx context.Context, username, pass string, from Client) (*Session, error) {
	username = normalizeUserName(username)
	u, err := l.user(ctx, username)
	if err != nil {
		return nil, err
	}
	known := l.device(u, from)
	attempt, err := l.begin(ctx, u, username, known, from)
	if err != nil {
		return nil, err
	}
	defer attempt.Release()
	session, err := l.password(ctx, u, credential{username: username, password: pass, device: known}, attempt, from)
	if errors.Is(err, ErrInvalidCredentials) {
		if countErr := l.recordFailure(ctx, attempt, u, from, err); countErr != nil {
			return nil, countErr // without a count, the result must not be told
		}
		return nil, err
	}
	_, challenged := errors.AsType[*ChallengeError](err)
	if err != nil && !challenged {
		return nil, err
	}
	if err := attempt.Succeeded(ctx); err != nil {
		return nil, err
	}
	if challenged {
		l.Audit.Record(ctx, audit.Event{Reason: audit.SecondFactorDue, User: u, Address: from.address()})
		return nil, err
	}
	return session, nil
}

// device returns the device of the user that a login comes from, or nil for an unknown device.
func (l *Logins) device(u *kubevisionv1alpha1.KubeVisionUser, from Client) *device {
	if u == nil {
		return l.Devices.find(from.DeviceToken, "")
	}
	return l.Devices.find(from.DeviceToken, u.UID)
}

// class returns how well a client is known. It does not depend on whether the user exists.
func (l *Logins) class(known *device, from Client) throttle.Class {
	switch {
	case known != nil:
		return throttle.KnownDevice
	case from.Trusted:
		return throttle.TrustedNetwork
	case l.Sessions.HasSessionFrom(from.Address):
		return throttle.KnownAddress
	default:
		return throttle.Stranger
	}
}

// begin asks the throttle whether the password may be compared.
func (l *Logins) begin(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, username string, known *device, from Client,
) (*throttle.Attempt, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	attempt, err := l.Throttle.Begin(ctx, throttle.Login{
		User: u, Name: username, Address: from.Address, Device: known.name(), Class: l.class(known, from),
	})
	if _, blocked := errors.AsType[*throttle.BlockedError](err); blocked {
		l.Audit.Record(ctx, audit.Event{Reason: audit.LoginBlocked, User: u, Address: from.address()})
	}
	return attempt, wrapBusy(err)
}

// recordFailure counts a wrong password. It returns an error if it cannot count.
func (l *Logins) recordFailure(ctx context.Context, attempt *throttle.Attempt, u *kubevisionv1alpha1.KubeVisionUser, from Client, why error) error {
	e := audit.Event{Reason: audit.LoginFailed, User: u, Address: from.address()}
	if r, ok := errors.AsType[*credentialsError](why); ok {
		e.Detail = r.reason
	}
	l.Audit.Record(ctx, e)
	blocked, err := attempt.Failed(ctx)
	if blocked.Account > 0 {
		l.Audit.Record(ctx, audit.Event{Reason: audit.AccountLocked, User: u, Address: from.address(), Detail: "for " + blocked.Account.String()})
	}
	if blocked.Address > 0 {
		l.Audit.Record(ctx, audit.Event{Reason: audit.AddressBlocked, Address: from.address(), Detail: "for " + blocked.Address.String()})
	}
	return err
}

// credential is the password and the device of a login.
type credential struct {
	username, password string
	device             *device
}

// password compares the password, and continues with the session or the second factor.
func (l *Logins) password(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, given credential, attempt *throttle.Attempt, from Client,
) (*Session, error) {
	secret, err := l.credentials(ctx, given.username)
	if err != nil {
		return nil, err
	}
	if u == nil || !isOwnedBy(secret, u.UID) {
		secret = &corev1.Secret{} // the Secret does not exist, or belongs to somebody else
	}
	// The device has logged in with earlier credentials only.
	if given.device != nil && !given.device.matchesEpoch(credentials.Epoch(secret)) {
		if err := attempt.SetUnknownDevice(ctx); err != nil {
			return nil, err
		}
	}
	hash, known, err := credentials.PasswordHash(secret)
	if err != nil {
		return nil, err
	}
	right, err := l.compare(ctx, given.password, hash, known)
	if err != nil {
		return nil, err
	}
	if err := checkOutcome(u, known, right); err != nil {
		return nil, err
	}
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return nil, err
	}
	if hash.NeedsRehash() {
		l.upgrade(ctx, u, given.password, hash)
	}
	if factor.Enabled() {
		return nil, l.challenge(ctx, u, credentials.Epoch(secret))
	}
	return l.start(ctx, u, secret, []string{methodPassword}, from)
}

// checkOutcome returns the reason to refuse a login after the comparison of its password, or nil.
func checkOutcome(u *kubevisionv1alpha1.KubeVisionUser, known, right bool) error {
	switch {
	case u == nil:
		return &credentialsError{"there is no such user"}
	case !known:
		return &credentialsError{"the user has no password"}
	case !right:
		return &credentialsError{"the password is wrong"}
	case u.Spec.Disabled:
		return &credentialsError{"the user is disabled"}
	case !u.DeletionTimestamp.IsZero():
		return &credentialsError{"the user is being deleted"}
	default:
		return nil
	}
}

// compare does the same work if there is no hash to compare with.
func (l *Logins) compare(ctx context.Context, pass string, hash password.Hash, known bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	var err error
	if known {
		err = l.Hasher.Verify(ctx, pass, hash)
	} else {
		err = l.Hasher.VerifyDummy(ctx, pass)
	}
	if errors.Is(err, password.ErrMismatch) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("verifying the password: %w", wrapBusy(err))
	}
	return true, nil
}

// wrapBusy maps queue-full and deadline errors to ErrBusy.
func wrapBusy(err error) error {
	if errors.Is(err, password.ErrBusy) || errors.Is(err, throttle.ErrBusy) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

// upgrade replaces the hash with one of the current cost, unless the password has changed in the meantime. A failure is
// no reason to refuse the login.
func (l *Logins) upgrade(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, pass string, old password.Hash) {
	made, err := l.Hasher.Hash(ctx, pass)
	if err == nil {
		err = l.updateCredentials(ctx, u.Name, u.UID, func(secret *corev1.Secret) (bool, error) {
			if string(secret.Data[credentials.PasswordHashKey]) != old.String() {
				return false, nil
			}
			secret.Data[credentials.PasswordHashKey] = []byte(made.String())
			return true, nil
		})
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Upgrading the hash of a password", "user", u.Name)
	}
}

// user returns nil if no user has the name.
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

// credentials returns an empty Secret if there is none. It makes the same call for a name that no user can have.
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
