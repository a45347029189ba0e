// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
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

// recordTimeout bounds the write of a failure. The write continues if the client disconnects, so that a client cannot
// avoid the count.
const recordTimeout = 10 * time.Second

// BlockedError is returned if an attempt is refused without examination because too many attempts have failed.
type BlockedError struct {
	// RetryAfter is the time until the next attempt is examined.
	RetryAfter time.Duration
}

// Error implements error.
func (*BlockedError) Error() string { return "too many attempts have failed" }

// Throttle counts failures in KubeVisionLoginThrottles. All replicas share them, and they survive restarts.
type Throttle struct {
	// Cache reads the throttles from memory.
	Cache client.Reader
	// Client reads and writes the throttles.
	Client client.Client
	// Clock determines the delays of logins.
	Clock clock.PassiveClock
	// NameSecret returns the secret with which all replicas hash unknown names.
	NameSecret func() ([]byte, error)
	// AddressFree is the number of failures of an address that cause no delay. Many people may share an address.
	AddressFree int
	// Strangers bounds the counters of unknown names, and separately the counters of addresses and networks.
	Strangers int
	// Places is the number of concurrent attempts of strangers, and separately of all other attempts.
	Places int

	once  sync.Once
	turns turns
}

// Login is an attempt to log in.
type Login struct {
	// User is nil if no user has the name.
	User *kubevisionv1alpha1.KubeVisionUser
	// Name is the name in the request.
	Name string
	// Address is the origin of the attempt. It may be invalid.
	Address netip.Addr
	// Device is the id of a known device of the user, or empty.
	Device string
	// Class selects the queue and the places of the attempt.
	Class Class
}

// Attempt is an admitted attempt. The caller must end it with Succeeded, Failed or Release.
type Attempt struct {
	throttle *Throttle
	login    Login
	// account, networks and device are the counters of the attempt. device is nil without a known device.
	account  keyedCounter
	networks []keyedCounter
	device   *keyedCounter
	turn     *turn
}

// Begin admits an attempt. It returns a BlockedError after too many failures of the account, the address or its
// networks, or of the device if it is known. It returns a BusyError if too many other attempts precede it. Each replica
// runs one attempt of an account at a time, so that parallel attempts cannot exceed the limit.
func (t *Throttle) Begin(ctx context.Context, login Login) (*Attempt, error) {
	secret, err := t.NameSecret()
	if err != nil {
		return nil, fmt.Errorf("counting failed logins: %w", err)
	}
	a := &Attempt{throttle: t, login: login, account: keyedCounter{key: nameKey(login.Name, secret)}}
	if login.User != nil {
		a.account.key = userKey(login.User)
	}
	for _, k := range addressKeys(login.Address, t.AddressFree) {
		a.networks = append(a.networks, keyedCounter{key: k})
	}
	if login.User != nil && login.Device != "" {
		a.device = &keyedCounter{key: deviceKey(login.User, login.Device)}
	}
	return a.enter(ctx)
}

// BeginSession is like Begin, for a password that a user enters in a session.
func (t *Throttle) BeginSession(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session string,
) (*Attempt, error) {
	a := &Attempt{throttle: t, login: Login{Class: KnownDevice}, account: keyedCounter{key: sessionKey(u, session)}}
	return a.enter(ctx)
}

// Blocked returns a BlockedError if too many attempts from an address or one of its networks have failed.
func (t *Throttle) Blocked(ctx context.Context, address netip.Addr) error {
	a := &Attempt{throttle: t}
	for _, k := range addressKeys(address, t.AddressFree) {
		a.networks = append(a.networks, keyedCounter{key: k})
	}
	pause, err := a.waitOfNetworks(ctx)
	return blocked(pause, err)
}

func (a *Attempt) enter(ctx context.Context) (*Attempt, error) {
	t := a.throttle
	t.once.Do(func() { t.turns.places = t.Places })
	// A rejection based on the cache needs neither a call nor a place in the queue.
	if err := a.admit(ctx, t.Cache); err != nil {
		return nil, err
	}
	turn, err := t.turns.enter(ctx, a.login.Class, a.decisiveCounter().name, a.flows())
	if err != nil {
		return nil, fmt.Errorf("waiting for other logins: %w", err)
	}
	a.turn = turn
	if err := a.admit(ctx, t.Client); err != nil {
		a.Release()
		return nil, err
	}
	return a, nil
}

// decisiveCounter returns the counter that determines the delay, together with the counters of the address. Failures of
// the account do not delay its known devices, which have separate counters.
func (a *Attempt) decisiveCounter() *keyedCounter {
	if a.device != nil {
		return a.device
	}
	return &a.account
}

// flows returns the flows that the attempt belongs to.
func (a *Attempt) flows() []flow {
	networks := queuedNetworks(a.login.Address)
	flows := make([]flow, 0, 1+len(networks))
	flows = append(flows, flow{a.decisiveCounter().name, 1})
	for _, n := range networks {
		flows = append(flows, flow{n.Prefix.String(), 1 / float64(n.Clients)})
	}
	return flows
}

// admit checks the counters. accounts reads the counter of the account or device. The counters of the address come from
// the cache, where a small delay is acceptable.
func (a *Attempt) admit(ctx context.Context, accounts client.Reader) error {
	pause, err := a.decisiveCounter().wait(ctx, accounts, a.throttle.Clock.Now())
	if err != nil {
		return err
	}
	ofNetworks, err := a.waitOfNetworks(ctx)
	if a.device != nil { // Failures of neighbouring addresses do not delay a known device.
		ofNetworks = 0
	}
	return blocked(max(pause, ofNetworks), err)
}

func (a *Attempt) waitOfNetworks(ctx context.Context) (pause time.Duration, err error) {
	for i := range a.networks {
		of, err := a.networks[i].wait(ctx, a.throttle.Cache, a.throttle.Clock.Now())
		if err != nil {
			return 0, err
		}
		pause = max(pause, of)
	}
	return pause, nil
}

func blocked(pause time.Duration, err error) error {
	if err != nil {
		return err
	}
	if pause > 0 {
		return &BlockedError{RetryAfter: pause}
	}
	return nil
}

// SetUnknownDevice treats the attempt like one from an unknown device, so that the failures of the account and the
// address apply to it. It returns a BlockedError if there were too many of them.
func (a *Attempt) SetUnknownDevice(ctx context.Context) error {
	if a.device == nil {
		return nil
	}
	a.device = nil
	return a.admit(ctx, a.throttle.Client)
}

// keyedCounter is a counter at its last read. A nil counter means no failures.
type keyedCounter struct {
	key

	failures *kubevisionv1alpha1.KubeVisionLoginThrottle
}

// wait reads the counter, and returns the delay of the next attempt.
func (c *keyedCounter) wait(ctx context.Context, reader client.Reader, now time.Time) (time.Duration, error) {
	var err error
	c.failures, err = read(ctx, reader, c.key)
	return c.policy.Wait(counterOf(c.failures), now), err
}

// read returns the counter with a key, or nil if it does not exist.
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

// Release ends an attempt whose password was not compared. It has no effect after Failed or Succeeded.
func (a *Attempt) Release() { a.end(false) }

func (a *Attempt) end(failed bool) {
	if a.turn != nil {
		a.turn.end(failed)
		a.turn = nil
	}
}

// Succeeded resets the failures of the account, or only those of the known device, because a login of the owner must
// not allow more tries to others who guess the password. The failures of the address remain, because otherwise the
// holder of one account could guess passwords of other accounts without a limit.
func (a *Attempt) Succeeded(ctx context.Context) error {
	defer a.Release()
	judge := a.decisiveCounter()
	if judge.failures == nil {
		return nil
	}
	o := &kubevisionv1alpha1.KubeVisionLoginThrottle{ObjectMeta: metav1.ObjectMeta{Name: judge.name}}
	if err := a.throttle.Client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("forgetting failed logins: %w", err)
	}
	return nil
}

// Blocked contains the times for which a failure blocks further attempts.
type Blocked struct {
	Account, Address time.Duration
}

// Failed counts a failure of the account, the address and its networks, and the known device. It returns the times for
// which the account and the address are then blocked.
func (a *Attempt) Failed(ctx context.Context) (blocked Blocked, err error) {
	defer a.end(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	var errs []error
	blocked.Account, err = a.throttle.record(ctx, a.account)
	errs = append(errs, err)
	if a.device != nil {
		_, err = a.throttle.record(ctx, *a.device)
		errs = append(errs, err)
	}
	for _, n := range a.networks {
		pause, err := a.throttle.record(ctx, n)
		blocked.Address = max(blocked.Address, pause)
		errs = append(errs, err)
	}
	return blocked, errors.Join(errs...)
}

// record adds a failure with a compare-and-swap, so that failures on other replicas are not lost.
func (t *Throttle) record(ctx context.Context, counted keyedCounter) (pause time.Duration, err error) {
	k, stale := counted.key, false
	err = retry.OnError(contention(), func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}, func() error {
		found := counted.failures.DeepCopy()
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
			if err := t.evictCounter(ctx, k); err != nil {
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
		ObjectMeta: metav1.ObjectMeta{Name: k.name, Labels: map[string]string{names.ManagedByLabel: names.ManagedBy},
			OwnerReferences: k.owner},
		Spec: k.spec,
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
