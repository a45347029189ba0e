// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/recoverycode"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/totp"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Authentication method references (RFC 8176). Recovery codes have none there.
const (
	methodPassword = "pwd"
	methodOTP      = "otp"
	methodRecovery = "recovery"
)

// codePolicy allows the tries of two challenges without a delay. Failures are not forgiven with time: six digits are
// few.
func codePolicy() throttle.Policy { return throttle.Policy{Free: 2 * credentials.ChallengeTries} }

// ErrNoSecondFactor is returned when the user has no second factor.
var ErrNoSecondFactor = errors.New("the user has no second factor")

// CodeError is returned for a code that is wrong, was used before, or came after too many others. It does not tell
// these cases apart.
type CodeError struct {
	// RetryAfter is how long codes are refused without a check. It is 0 if the next code may be tried at once.
	RetryAfter time.Duration

	reason string
	// over is true if the session of the code has ended.
	over bool
}

// Error implements error.
func (e *CodeError) Error() string { return "the code is not accepted" }

// HasSecondFactor returns true if the methods include more than the password.
func HasSecondFactor(methods []string) bool {
	return slices.Contains(methods, methodOTP) || slices.Contains(methods, methodRecovery)
}

// updateCredentials reads the credentials of a user, calls change, and writes them back if change returns true. It is a
// compare-and-swap: after a conflict, it calls change again with the new version, so that a code is accepted only once.
// It returns the error of change after the write.
func (l *Logins) updateCredentials(ctx context.Context, user string, uid types.UID, change func(*corev1.Secret) (write bool, err error)) error {
	var verdict error
	err := retry.RetryOnConflict(contention(), func() error {
		secret := &corev1.Secret{}
		err := l.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(user)}, secret)
		if apierrors.IsNotFound(err) || (err == nil && !isOwnedBy(secret, uid)) {
			return ErrRevoked
		}
		if err != nil {
			return fmt.Errorf("reading the credentials: %w", err)
		}
		var write bool
		write, verdict = change(secret)
		if !write {
			return nil
		}
		if err := l.Client.Update(ctx, secret); err != nil {
			return fmt.Errorf("writing the credentials: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return verdict
}

// updateOwnCredentials is changeCredentials for somebody who is logged in. A session that is over, and has only not been ended
// yet, changes nothing: it could undo what has ended it. The error is ErrSessionEnded then.
func (l *Logins) updateOwnCredentials(ctx context.Context, p *Principal, edit func(*corev1.Secret) (write bool, err error)) error {
	err := l.updateCredentials(ctx, p.User.Name, p.User.UID, func(secret *corev1.Secret) (bool, error) {
		if !credentials.InForce(secret, p.Session, p.Epoch) {
			return false, ErrSessionEnded
		}
		return edit(secret)
	})
	if errors.Is(err, ErrRevoked) { // the credentials are gone, or another user's
		return ErrSessionEnded
	}
	return err
}

// updateSecondFactor is like changeOwn, for the second factor.
func (l *Logins) updateSecondFactor(ctx context.Context, p *Principal, edit func(*credentials.SecondFactor) (write bool, err error)) error {
	return l.updateOwnCredentials(ctx, p, func(secret *corev1.Secret) (bool, error) { return editSecondFactor(secret, edit) })
}

// editSecondFactor calls edit with the second factor in a Secret, and writes it back into the Secret if edit returns true.
func editSecondFactor(secret *corev1.Secret, edit func(*credentials.SecondFactor) (write bool, err error)) (bool, error) {
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return false, err
	}
	write, verdict := edit(factor)
	if !write {
		return false, verdict
	}
	if err := factor.Write(secret); err != nil {
		return false, err
	}
	return true, verdict
}

// contention bounds the retries of a write: fifty clients that send one code at once are an attack, and each of them
// must get an answer.
func contention() wait.Backoff {
	return wait.Backoff{Steps: 15, Duration: 10 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Cap: time.Second}
}

// isOwnedBy returns false for the credentials of a deleted user whose name was reused.
func isOwnedBy(secret *corev1.Secret, uid types.UID) bool {
	owner := metav1.GetControllerOf(secret)
	return owner != nil && owner.UID == uid
}

// check verifies a code of a login, and counts it if it is wrong. The caller must write the result before it grants
// anything.
func (l *Logins) check(factor *credentials.SecondFactor, verify func() bool) error {
	now := l.Clock.Now()
	counter := throttle.Counter{Failures: factor.Failures, Last: factor.LastFailure}
	if pause := codePolicy().Wait(counter, now); pause > 0 {
		return &CodeError{RetryAfter: pause, reason: "too many were wrong"}
	}
	if verify() {
		factor.Failures, factor.LastFailure = 0, time.Time{}
		return nil
	}
	counter = codePolicy().Add(counter, now)
	factor.Failures, factor.LastFailure = counter.Failures, counter.Last
	return &CodeError{RetryAfter: codePolicy().Wait(counter, now), reason: "wrong, expired or used before"}
}

// checkTOTP accepts a code of the secret in force for a login, once.
func (l *Logins) checkTOTP(factor *credentials.SecondFactor, code string) error {
	return l.check(factor, func() bool { return l.spend(factor, code) })
}

// spend returns true if a code of the secret in force is right. The code is not accepted again, for a login or for any
// other operation.
func (l *Logins) spend(factor *credentials.SecondFactor, code string) bool {
	step, ok := totp.Check(code, factor.TOTPSecret, factor.LastStep, l.Clock.Now())
	if ok {
		factor.LastStep = step
	}
	return ok
}

// checkRecovery accepts a recovery code, once.
func (l *Logins) checkRecovery(factor *credentials.SecondFactor, uid types.UID, code string) error {
	return l.check(factor, func() bool {
		rest, ok := recoverycode.Redeem(factor.RecoveryCodes, string(uid), code)
		if ok {
			factor.RecoveryCodes = rest
		}
		return ok
	})
}
