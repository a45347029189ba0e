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

// recordTimeout bounds the time for counting a failed attempt. Counting continues after the client has disconnected, so
// that a client cannot prevent it by disconnecting early.
const recordTimeout = 10 * time.Second

// BlockedError is returned for an attempt that is rejected without a check, because too many attempts have failed.
type BlockedError struct {
	// RetryAfter is the time until another attempt is allowed.
	RetryAfter time.Duration
}

// Error implements error.
func (*BlockedError) Error() string { return "too many attempts have failed" }

// Throttle counts failed attempts in KubeVisionLoginThrottles, which all replicas share. It delays attempts after
// failures, and limits the number of concurrent attempts.
type Throttle struct {
	// Cache reads KubeVisionLoginThrottles from an informer.
	Cache client.Reader
	// Client reads and writes KubeVisionLoginThrottles without a cache.
	Client client.Client
	// Clock determines when delays end.
	Clock clock.PassiveClock
	// NameSecret returns the key for hashing unknown user names. It must return the same key on all replicas.
	NameSecret func() ([]byte, error)
	// AddressFree is the number of failures from one address after which attempts are delayed. It is higher than for
	// accounts, because many users may share an address.
	AddressFree int
	// MaxCounters is the maximum number of KubeVisionLoginThrottles for unknown user names. The same number is allowed
	// for addresses.
	MaxCounters int
	// Places is the maximum number of concurrent attempts of the Class Stranger. All other classes together have a
	// separate maximum of the same value. Zero means the default, 2.
	Places int

	once  sync.Once
	turns turns
}

// Login describes an attempt to log in.
type Login struct {
	// User is the KubeVisionUser with the name in the field Name, or nil if there is none.
	User *kubevisionv1alpha1.KubeVisionUser
	// Name is the user name that the client has sent.
	Name string
	// Address is the IP address of the client. It may be invalid.
	Address netip.Addr
	// Device is the ID of a device from which the user has logged in before, or empty.
	Device string
	// Class determines the queue in which the attempt waits.
	Class Class
}

// Attempt is a login, or the check of a password that a user enters in a session. Begin and BeginSession return an
// Attempt when the password may be checked. After the check, the caller must call Succeeded, Failed or Release.
type Attempt struct {
	throttle *Throttle
	login    Login
	// account counts the failures of the account. For an attempt of BeginSession, it counts the failures of the session
	// instead.
	account keyedCounter
	// networks contains a failure counter for each network that contains the client address.
	networks []keyedCounter
	// device counts the failures of a known device. It is nil for all other clients.
	device *keyedCounter
	turn   *turn
}

// Begin waits until the attempt may be checked. It returns a BlockedError after too many failures. For a known device,
// only the failures of this device count. For other clients, the failures of the account and of the address count.
// Begin returns a BusyError if too many attempts are waiting.
//
// On each replica, only one attempt for an account runs at a time, so that concurrent attempts cannot exceed the number
// of allowed failures.
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

// BeginSession is like Begin, for a password that a user enters in a session. The failures of the attempt count only
// for this session.
func (t *Throttle) BeginSession(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session string,
) (*Attempt, error) {
	a := &Attempt{throttle: t, login: Login{Class: KnownDevice}, account: keyedCounter{key: sessionKey(u, session)}}
	return a.enter(ctx)
}

// Blocked returns a BlockedError if too many attempts from a network that contains the address have failed. The
// networks are the IPv4 address itself, or the IPv6 /64, /56 and /48. The failures of each network are counted
// separately.
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
	// If the failures in the cache already block the attempt, neither a call of the API server nor a place in the queue
	// is needed.
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

// decisiveCounter returns the failure counter that applies to the client: the counter of the device for a known device,
// and the counter of the account for all other clients.
func (a *Attempt) decisiveCounter() *keyedCounter {
	if a.device != nil {
		return a.device
	}
	return &a.account
}

// flows returns the flows to which the attempt belongs: the known device or the account, and the networks that contain
// the client address. The fair queue divides its capacity among flows.
func (a *Attempt) flows() []flow {
	networks := queuedNetworks(a.login.Address)
	flows := make([]flow, 0, 1+len(networks))
	flows = append(flows, flow{a.decisiveCounter().name, 1})
	for _, n := range networks {
		flows = append(flows, flow{n.Prefix.String(), 1 / float64(n.Clients)})
	}
	return flows
}

// admit reads the failure counters, and returns a BlockedError if too many earlier attempts have failed. For a known
// device, only the failures of this device count. For all other clients, the failures of the account and of the
// networks count.
func (a *Attempt) admit(ctx context.Context, reader client.Reader) error {
	pause, err := a.decisiveCounter().wait(ctx, reader, a.throttle.Clock.Now())
	if err != nil {
		return err
	}
	// The failures of networks are read from the cache, because slightly outdated numbers are sufficient.
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

// SetUnknownDevice treats the device of the attempt as unknown. Afterwards, the failures of the account and of the
// client address can block the attempt. SetUnknownDevice returns a BlockedError if the account or the address already
// has too many failures.
func (a *Attempt) SetUnknownDevice(ctx context.Context) error {
	if a.device == nil {
		return nil
	}
	a.device = nil
	return a.admit(ctx, a.throttle.Client)
}

type keyedCounter struct {
	key

	// failures is the KubeVisionLoginThrottle that was last read for the key, or nil if it did not exist.
	failures *kubevisionv1alpha1.KubeVisionLoginThrottle
}

// wait reads the counter, and returns the time until the next attempt is allowed. It returns 0 if the attempt is
// allowed now.
func (c *keyedCounter) wait(ctx context.Context, reader client.Reader, now time.Time) (time.Duration, error) {
	var err error
	c.failures, err = read(ctx, reader, c.key)
	return c.policy.Wait(counterOf(c.failures), now), err
}

// read returns the KubeVisionLoginThrottle for the key, or nil if there is none.
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

// Release ends an attempt whose password was not compared. It has no effect after Succeeded or Failed.
func (a *Attempt) Release() { a.end(false) }

func (a *Attempt) end(failed bool) {
	if a.turn != nil {
		a.turn.end(failed)
		a.turn = nil
	}
}

// Succeeded ends an attempt. If the device is known, Succeeded resets the failures of the device. If not, it resets the
// failures of the account.
//
// A login from a known device does not reset the failures of the account, so that the logins of the user do not give
// attackers more tries. No login resets the failures of the address, so that attackers who have an account cannot clear
// these failures while they guess the passwords of other accounts.
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

// Blocked contains the durations for which further attempts are rejected after a failure.
type Blocked struct {
	Account, Address time.Duration
}

// Failed counts a failure for the account, for each network that contains the client address, and for the known device.
// Then it ends the attempt. It returns how long further attempts for the account and from the address are rejected.
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

// record adds a failure to a counter, and returns the time for which further attempts are blocked. If another replica
// has changed the counter meanwhile, record reads the counter and tries again.
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
