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

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/recoverycode"
	"github.com/kubevision-io/kubevision/pkg/authentication/totp"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Authentication method references (RFC 8176), and one for recovery codes, which has none.
const (
	methodPassword = "pwd"
	methodOTP      = "otp"
	methodRecovery = "recovery"
)

const (
	// freeFailures is how many wrong codes in a row cost no waiting; the tries of two challenges.
	freeFailures = 2 * credentials.ChallengeTries
	// firstWait doubles with every further wrong code, up to maxWait.
	firstWait = 30 * time.Second
	maxWait   = 15 * time.Minute
)

// ErrNoSecondFactor means that the user has none.
var ErrNoSecondFactor = errors.New("the user has no second factor")

// CodeError is a code that is wrong, was used before, or came after too many others. It does not say which.
type CodeError struct {
	// RetryAfter is how long no code is looked at; 0 where the next may be tried at once.
	RetryAfter time.Duration
}

// Error implements error.
func (e *CodeError) Error() string { return "the code is not accepted" }

// HasSecondFactor says whether the methods include more than the password.
func HasSecondFactor(methods []string) bool {
	return slices.Contains(methods, methodOTP) || slices.Contains(methods, methodRecovery)
}

// changeSecondFactor reads the credentials, lets a function change the second factor, and writes it back if the function wants that. It
// is a compare-and-swap: where another replica was faster, the function is asked again about what that one has written. So a code
// can be accepted once only. The function's error is returned after the write.
func (l *Logins) changeSecondFactor(ctx context.Context, user string, uid types.UID, change func(*credentials.SecondFactor) (write bool, err error)) error {
	var verdict error
	err := retry.RetryOnConflict(contention(), func() error {
		secret := &corev1.Secret{}
		err := l.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(user)}, secret)
		if apierrors.IsNotFound(err) || (err == nil && !ownedBy(secret, uid)) {
			return ErrRevoked
		}
		if err != nil {
			return fmt.Errorf("reading the credentials: %w", err)
		}
		factor, err := credentials.ReadSecondFactor(secret)
		if err != nil {
			return err
		}
		var write bool
		write, verdict = change(factor)
		if !write {
			return nil
		}
		if err := factor.Write(secret); err != nil {
			return err
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

// contention bounds how often a write is tried again: fifty clients at once with one code are an attack, and must all get an answer.
func contention() wait.Backoff {
	return wait.Backoff{Steps: 15, Duration: 10 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Cap: time.Second}
}

// ownedBy keeps the credentials of a user who was deleted from one who was made again under the same name.
func ownedBy(secret *corev1.Secret, uid types.UID) bool {
	owner := metav1.GetControllerOf(secret)
	return owner != nil && owner.UID == uid
}

// check looks at one code and counts it when it is wrong; what is written must be written before anything is granted.
func (l *Logins) check(factor *credentials.SecondFactor, verify func() bool) error {
	now := l.Clock.Now()
	if pause := waiting(factor, now); pause > 0 {
		return &CodeError{RetryAfter: pause}
	}
	if verify() {
		factor.Failures, factor.LastFailure = 0, time.Time{}
		return nil
	}
	factor.Failures, factor.LastFailure = factor.Failures+1, now
	return &CodeError{RetryAfter: waiting(factor, now)}
}

// checkTOTP accepts a code of the secret in force, once.
func (l *Logins) checkTOTP(factor *credentials.SecondFactor, code string) error {
	return l.check(factor, func() bool {
		step, ok := totp.Check(code, factor.TOTPSecret, factor.LastStep, l.Clock.Now())
		if ok {
			factor.LastStep = step
		}
		return ok
	})
}

// checkRecovery accepts a recovery code, once.
func (l *Logins) checkRecovery(factor *credentials.SecondFactor, uid types.UID, code string) error {
	return l.check(factor, func() bool {
		rest, ok := recoverycode.Spend(factor.RecoveryCodes, string(uid), code)
		if ok {
			factor.RecoveryCodes = rest
		}
		return ok
	})
}

// waiting is how long no code is looked at.
func waiting(factor *credentials.SecondFactor, now time.Time) time.Duration {
	excess := factor.Failures - freeFailures
	if excess < 0 {
		return 0
	}
	pause := maxWait
	if excess < 5 { // 30 s, 1, 2, 4, 8 minutes
		pause = firstWait << excess
	}
	return max(factor.LastFailure.Add(pause).Sub(now), 0)
}

// setupRequired says whether the user must set up a second factor before anything else.
func setupRequired(u *kubevisionv1alpha1.KubeVisionUser, methods []string) bool {
	return u.Spec.TwoFactor == kubevisionv1alpha1.TwoFactorRequired && !HasSecondFactor(methods)
}
