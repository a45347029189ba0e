// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// recordTimeout bounds the writing of a failure, which goes on when the client has gone away: or leaving early would be a way not to be
// counted.
const recordTimeout = 10 * time.Second

// BlockedError means that too many attempts have failed, and that this one was not looked at.
type BlockedError struct {
	// RetryAfter is how long no attempt is looked at.
	RetryAfter time.Duration
}

// Error implements error.
func (*BlockedError) Error() string { return "too many attempts have failed" }

// Throttle counts failures as KubeVisionLoginThrottles, so that all replicas share them and they outlive restarts.
type Throttle struct {
	// Cache holds the throttles; reading it makes no call.
	Cache client.Reader
	// Client reads and writes them.
	Client client.Client
	// Clock is the time by which logins wait.
	Clock clock.PassiveClock
	// NameSecret is what all replicas hash unknown names with.
	NameSecret func() ([]byte, error)
	// AddressFree is how many failures an address is allowed at no cost. Many people may share one.
	AddressFree int
	// Strangers is how many unknown names, and how many addresses, are counted at once.
	Strangers int

	turns turns
}

// Attempt is one that may be looked at. It must be ended.
type Attempt struct {
	throttle *Throttle
	account  key
	address  *key
	// failures and fromAddress are what has been counted, as it was last read; nil is nothing.
	failures, fromAddress *kubevisionv1alpha1.KubeVisionLoginThrottle
	turn                  *turn
}

// Begin asks whether an attempt may be looked at: on a user, or a name where there is no user, from an address. It is a BlockedError where
// there were too many failures. Attempts on one account take turns on a replica, so that many at once are no way around the count.
func (t *Throttle) Begin(ctx context.Context, user *kubevisionv1alpha1.KubeVisionUser, name string, address netip.Addr) (*Attempt, error) {
	secret, err := t.NameSecret()
	if err != nil {
		return nil, fmt.Errorf("counting failed logins: %w", err)
	}
	a := &Attempt{throttle: t, account: nameKey(name, secret)}
	if user != nil {
		a.account = userKey(user)
	}
	if address.IsValid() {
		k := addressKey(address, t.AddressFree)
		a.address = &k
	}
	return a.enter(ctx)
}

// BeginSession is Begin for a password that somebody logged in gives once more.
func (t *Throttle) BeginSession(ctx context.Context, session string) (*Attempt, error) {
	a := &Attempt{throttle: t, account: sessionKey(session)}
	return a.enter(ctx)
}

func (a *Attempt) enter(ctx context.Context) (*Attempt, error) {
	t := a.throttle
	if err := a.admit(ctx, t.Cache); err != nil { // what the copies refuse costs neither a call nor a place in the queue
		return nil, err
	}
	turn, err := t.turns.enter(ctx, a.account.name)
	if err != nil {
		return nil, fmt.Errorf("waiting for other logins of the account: %w", err)
	}
	a.turn = turn
	if err := a.admit(ctx, t.Client); err != nil {
		a.Release()
		return nil, err
	}
	return a, nil
}

// admit looks at the account where the reader says, and at the address always in the copies: a few failures more or less do not matter there.
func (a *Attempt) admit(ctx context.Context, accounts client.Reader) error {
	t := a.throttle
	var err error
	if a.failures, err = read(ctx, accounts, a.account); err != nil {
		return err
	}
	pause := a.account.policy.Wait(counterOf(a.failures), t.Clock.Now())
	if a.address != nil {
		if a.fromAddress, err = read(ctx, t.Cache, *a.address); err != nil {
			return err
		}
		pause = max(pause, a.address.policy.Wait(counterOf(a.fromAddress), t.Clock.Now()))
	}
	if pause > 0 {
		return &BlockedError{RetryAfter: pause}
	}
	return nil
}

// read is nil where nothing is counted.
func read(ctx context.Context, reader client.Reader, k key) (*kubevisionv1alpha1.KubeVisionLoginThrottle, error) {
	found := &kubevisionv1alpha1.KubeVisionLoginThrottle{}
	err := reader.Get(ctx, types.NamespacedName{Name: k.name}, found)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // no failures is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("reading failed logins: %w", err)
	}
	return found, nil
}

func counterOf(found *kubevisionv1alpha1.KubeVisionLoginThrottle) Counter {
	if found == nil {
		return Counter{}
	}
	return Counter{Failures: int(found.Spec.Failures), Last: found.Spec.LastFailureTime.Time}
}

// Release ends an attempt that was not looked at. After Failed or Succeeded it does nothing.
func (a *Attempt) Release() { a.end(false) }

func (a *Attempt) end(failed bool) {
	if a.turn != nil {
		a.turn.end(failed)
		a.turn = nil
	}
}

// Succeeded forgets the failures of the account. Those of the address stay: whoever has an account of their own could otherwise go on
// guessing at others for ever.
func (a *Attempt) Succeeded(ctx context.Context) error {
	defer a.Release()
	if a.failures == nil {
		return nil
	}
	o := &kubevisionv1alpha1.KubeVisionLoginThrottle{ObjectMeta: metav1.ObjectMeta{Name: a.account.name}}
	if err := a.throttle.Client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("forgetting failed logins: %w", err)
	}
	return nil
}

// Blocked is for how long a failure blocks further attempts.
type Blocked struct {
	Account, Address time.Duration
}

// Failed counts a failure.
func (a *Attempt) Failed(ctx context.Context) (blocked Blocked, err error) {
	defer a.end(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	var errs [2]error
	blocked.Account, errs[0] = a.throttle.record(ctx, a.account, a.failures)
	if a.address != nil {
		blocked.Address, errs[1] = a.throttle.record(ctx, *a.address, a.fromAddress)
	}
	return blocked, errors.Join(errs[:]...)
}

// record is a compare-and-swap, so that no failure is lost to another replica.
func (t *Throttle) record(ctx context.Context, k key, known *kubevisionv1alpha1.KubeVisionLoginThrottle) (pause time.Duration, err error) {
	stale := false
	err = retry.OnError(contention(), func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}, func() error {
		found := known
		if stale {
			if found, err = read(ctx, t.Client, k); err != nil {
				return err
			}
		}
		stale = true
		now := t.Clock.Now()
		counter := k.policy.Add(counterOf(found), now)
		pause = k.policy.Wait(counter, now)
		if found == nil {
			if err := t.makeRoom(ctx, k); err != nil {
				return err
			}
			return t.Client.Create(ctx, k.object(counter, now))
		}
		found.Spec = k.object(counter, now).Spec
		return t.Client.Update(ctx, found)
	})
	if err != nil {
		return 0, fmt.Errorf("counting a failed login: %w", err)
	}
	return pause, nil
}

func (k key) object(c Counter, now time.Time) *kubevisionv1alpha1.KubeVisionLoginThrottle {
	o := &kubevisionv1alpha1.KubeVisionLoginThrottle{
		ObjectMeta: metav1.ObjectMeta{Name: k.name, Labels: map[string]string{names.ManagedByLabel: names.ManagedBy}, OwnerReferences: k.owner},
		Spec:       k.spec,
	}
	maps.Copy(o.Labels, k.labels)
	o.Spec.Failures = int32(min(c.Failures, 1<<30)) //nolint:gosec // bounded
	o.Spec.LastFailureTime = metav1.NewMicroTime(c.Last)
	if until := k.policy.BlockedUntil(c, now); !until.IsZero() {
		o.Spec.BlockedUntil = &metav1.Time{Time: until}
	}
	return o
}

func contention() wait.Backoff {
	return wait.Backoff{Steps: 12, Duration: 10 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Cap: time.Second}
}
