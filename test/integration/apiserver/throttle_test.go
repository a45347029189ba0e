// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// freeFailures is the number of wrong passwords after which the server delays further attempts.
const freeFailures = 5

func replicaWith(t *testing.T, extra ...string) *localcluster.APIServer {
	t.Helper()
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0, extra...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Stop() })
	return replica
}

func pair(t *testing.T) []*wire.Client {
	t.Helper()
	return []*wire.Client{direct(t), another(t)}
}

func wrong(name string) wire.Request { return fixture.LoginRequest(wire.DirectPath, name, "wrong") }

func right(u fixture.User) wire.Request {
	return fixture.LoginRequest(wire.DirectPath, u.Name, u.Password)
}

func lock(t *testing.T, name string, clients ...*wire.Client) {
	t.Helper()
	for i := range freeFailures {
		clients[i%len(clients)].Call(t, wrong(name)).Want(t, wire.Unauthenticated)
	}
	clients[0].Call(t, wrong(name)).Want(t, wire.TooManyRequests)
}

func throttleOf(ctx context.Context, name string) (*kubevisionv1alpha1.KubeVisionLoginThrottle, error) {
	found := &kubevisionv1alpha1.KubeVisionLoginThrottle{}
	err := env.Client.Get(ctx, client.ObjectKey{Name: name}, found)
	return found, err
}

func mustThrottle(t *testing.T, name string) *kubevisionv1alpha1.KubeVisionLoginThrottle {
	t.Helper()
	found, err := throttleOf(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func backdateThrottle(t *testing.T, name string, by time.Duration) {
	t.Helper()
	found := mustThrottle(t, name)
	found.Spec.LastFailureTime = metav1.NewMicroTime(found.Spec.LastFailureTime.Add(-by))
	if found.Spec.BlockedUntil != nil {
		found.Spec.BlockedUntil = &metav1.Time{Time: found.Spec.BlockedUntil.Add(-by)}
	}
	if err := env.Programs.Update(t.Context(), found); err != nil {
		t.Fatal(err)
	}
}

// lockedUntil waits until the field status.lockedUntil of a user is set, or until it is absent if locked is false.
func lockedUntil(t *testing.T, u fixture.User, locked bool) {
	t.Helper()
	fixture.Eventually(t, "see status.lockedUntil", func(ctx context.Context) error {
		found := &kubevisionv1alpha1.KubeVisionUser{}
		if err := env.Client.Get(ctx, client.ObjectKey{Name: u.Name}, found); err != nil {
			return err
		}
		if (found.Status.LockedUntil != nil) != locked {
			return fmt.Errorf("it is %v", found.Status.LockedUntil)
		}
		return nil
	})
}

// TestLock verifies the lock of an account after wrong passwords:
//   - Five wrong passwords lock the account for 30 seconds.
//   - Each further wrong password locks the account for twice as long, up to 15 minutes.
//   - A login with the correct password after the lock deletes the counter of failures.
func TestLock(t *testing.T) {
	c, u := direct(t), set().User(t, "locked")
	u.Login(t, c, wire.DirectPath)
	name := "user-" + u.Name
	lock(t, u.Name, c)
	for range 10 {
		e := c.Call(t, right(u)).Want(t, wire.TooManyRequests)
		if s := e.Meta.RetryAfterSeconds; s < 15 || s > 30 || string(e.Data) != "null" {
			t.Errorf("retryAfterSeconds is %d, data %s", s, e.Data)
		}
	}
	if n := mustThrottle(t, name).Spec.Failures; n != freeFailures {
		t.Errorf("%d failures are counted, including logins that were not verified", n)
	}
	lockedUntil(t, u, true)
	if stdout, stderr, err := kubectl(t, "", "get", "kvlt", name); err != nil || !strings.Contains(stdout, u.Name) {
		t.Errorf("kubectl get kvlt: %v\n%s%s", err, stdout, stderr)
	}

	for i, pause := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute,
		8 * time.Minute, 15 * time.Minute} {
		backdateThrottle(t, name, pause-3*time.Second)
		c.Call(t, right(u)).Want(t, wire.TooManyRequests)
		backdateThrottle(t, name, 3*time.Second)
		becomes(t, c, wire.Unauthenticated, wrong(u.Name))
		next := min(time.Minute<<i, 15*time.Minute)
		e := c.Call(t, wrong(u.Name)).Want(t, wire.TooManyRequests)
		if s := time.Duration(e.Meta.RetryAfterSeconds) * time.Second; s > next || s < next-10*time.Second {
			t.Errorf("after %d failures: %s, want %s", freeFailures+1+i, s, next)
		}
	}

	backdateThrottle(t, name, 15*time.Minute)
	becomes(t, c, wire.OK, right(u))
	set().Gone(t, newThrottle(name))
	lockedUntil(t, u, false)
	for range freeFailures - 1 {
		c.Call(t, wrong(u.Name)).Want(t, wire.Unauthenticated)
	}
	c.Call(t, right(u)).Want(t, wire.OK)
}

func newThrottle(name string) *kubevisionv1alpha1.KubeVisionLoginThrottle {
	return &kubevisionv1alpha1.KubeVisionLoginThrottle{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func forgiveAfterwards(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if err := env.Client.DeleteAllOf(context.WithoutCancel(t.Context()),
			&kubevisionv1alpha1.KubeVisionLoginThrottle{}); err != nil {
			t.Error(err)
		}
	})
}

// TestAFloodOfNames verifies that failed logins with many unknown user names do not reset the counters of failed logins
// for existing users.
func TestAFloodOfNames(t *testing.T) {
	const names, parallel = 60, 10
	c := at(t, replicaWith(t, "--login-failure-counters=20").Endpoint())
	u, once := set().User(t, "flooded"), set().User(t, "once")
	u.Login(t, c, wire.DirectPath)
	once.Login(t, c, wire.DirectPath)
	c.Call(t, wrong(once.Name)).Want(t, wire.Unauthenticated)
	lock(t, u.Name, c)
	begun := time.Now()
	var group sync.WaitGroup
	for range parallel {
		group.Go(func() {
			for range names / parallel {
				response, err := c.Do(t.Context(), wrong(fixture.Name("random")))
				if err != nil {
					t.Error(err)
					return
				}
				if e, err := response.Parse(); err != nil ||
					(e.Code != wire.Unauthenticated && e.Code != wire.TooManyRequests) {
					t.Errorf("code %d (%s), %v", e.Code, e.Message, err)
				}
			}
		})
	}
	group.Wait()
	backdateThrottle(t, "user-"+u.Name, -time.Since(begun)) // undoes the change of the times
	for range 6 {
		c.Call(t, right(u)).Want(t, wire.TooManyRequests)
	}
	if n := mustThrottle(t, "user-"+once.Name).Spec.Failures; n != 1 {
		t.Errorf("%d failures of another user are counted", n)
	}
}

// TestStrangersAreFew verifies that failed logins with unknown user names cannot fill etcd. The server has a counter
// for each unknown name. At the limit, a new counter replaces the counter with the fewest failed logins.
func TestStrangersAreFew(t *testing.T) {
	const most = 64
	set().Forgive(t)
	forgiveAfterwards(t)
	c, u := at(t, replicaWith(t, "--login-failure-counters="+strconv.Itoa(most)).Endpoint()), set().User(t, "crowded")
	for i := range most {
		o := newThrottle(fmt.Sprintf("unknown-%02x", i))
		o.Spec = kubevisionv1alpha1.KubeVisionLoginThrottleSpec{
			Target: kubevisionv1alpha1.ThrottleUnknownName, Failures: 2, LastFailureTime: metav1.NowMicro(),
		}
		if i == 3 {
			o.Spec.Failures = 1
		}
		if err := env.Programs.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	u.Login(t, c, wire.DirectPath)
	lock(t, u.Name, c)
	// The check waits until the cache of the server contains all throttles.
	fixture.Eventually(t, "make room for a stranger", func(ctx context.Context) error {
		if err := c.Answers(ctx, wire.Unauthenticated, wrong(fixture.Name("stranger"))); err != nil {
			return err
		}
		if _, err := throttleOf(ctx, "unknown-03"); err == nil {
			return errors.New("the counter with the fewest failures still exists")
		}
		return nil
	})
	c.Call(t, right(u)).Want(t, wire.TooManyRequests)
	if n := mustThrottle(t, "user-"+u.Name).Spec.Failures; n != freeFailures {
		t.Errorf("%d failures of the user are counted", n)
	}
}

// TestCountersOfAUserAreFew verifies that each user has a limited number of counters of wrong passwords. One limit is
// for the counters of sessions, and another for those of devices. At the limit, a new counter replaces the counter with
// the fewest wrong passwords.
func TestCountersOfAUserAreFew(t *testing.T) {
	const most = 20
	forgiveAfterwards(t)
	c, a := direct(t), newActor(t, "")
	device := deviceOf(t, c.Call(t, right(a.User)))
	of := map[string]string{"kubevision.io/user": a.Name}
	for i := range most {
		for prefix, spec := range map[string]kubevisionv1alpha1.KubeVisionLoginThrottleSpec{
			"session-few-": {Target: kubevisionv1alpha1.ThrottleSession, Session: fmt.Sprintf("few-%02d", i)},
			"device-few-":  {Target: kubevisionv1alpha1.ThrottleDevice, Device: fmt.Sprintf("few-%02d", i)},
		} {
			o := newThrottle(fmt.Sprintf("%s%02d", prefix, i))
			o.Labels, o.Spec = of, spec
			o.Spec.Failures, o.Spec.LastFailureTime = 2, metav1.NowMicro()
			if i == 3 {
				o.Spec.Failures = 1
			}
			if err := env.Programs.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(promptly) // the cache of the server must contain all of them
	c.Call(t, changePassword(t, a.AccessToken, "wrong", anotherPassword)).Want(t, wire.Unauthenticated)
	c.Call(t, withDevice(t, a.User, "wrong", device)).Want(t, wire.Unauthenticated)
	for _, gone := range []string{"session-few-03", "device-few-03"} {
		if _, err := throttleOf(t.Context(), gone); err == nil {
			t.Errorf("%s, which has the fewest failures, still exists", gone)
		}
	}
	count := map[kubevisionv1alpha1.ThrottleTarget]int{}
	for _, found := range throttlesOf(t, a.User) {
		count[found.Spec.Target]++
	}
	if count[kubevisionv1alpha1.ThrottleSession] != most || count[kubevisionv1alpha1.ThrottleDevice] != most {
		t.Errorf("there are %v", count)
	}
}

func TestALockOutlivesARestart(t *testing.T) {
	replica, u := newReplica(t), set().User(t, "restarted")
	c := at(t, replica.Endpoint())
	u.Login(t, c, wire.DirectPath)
	lock(t, u.Name, c)
	if err := replica.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := replica.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	at(t, replica.Endpoint()).Call(t, right(u)).Want(t, wire.TooManyRequests)
}

// TestGuessesAtOnce verifies that many concurrent logins with wrong passwords do not bypass the lock of a user name.
func TestGuessesAtOnce(t *testing.T) {
	const guesses = 30
	clients := pair(t)
	known := set().User(t, "guessed")
	known.Login(t, clients[0], wire.DirectPath)
	for kind, name := range map[string]string{"user": known.Name, "nobody": fixture.Name("nobody")} {
		t.Run(kind, func(t *testing.T) {
			var group sync.WaitGroup
			var looked, refused atomic.Int32
			for i := range guesses {
				group.Go(func() {
					response, err := clients[i%2].Do(t.Context(), wrong(name))
					if err != nil {
						t.Error(err)
						return
					}
					switch e, err := response.Parse(); {
					case err != nil:
						t.Error(err)
					case e.Code == wire.Unauthenticated:
						looked.Add(1)
					case e.Code == wire.TooManyRequests:
						refused.Add(1)
					default:
						t.Errorf("code %d (%s)", e.Code, e.Message)
					}
				})
			}
			group.Wait()
			// Each of the two replicas verifies one login for the name at a time. Therefore, at most two logins exceed
			// the limit.
			if n := looked.Load(); n < freeFailures || n > freeFailures+2 || n+refused.Load() != guesses {
				t.Errorf("%d were verified, %d rejected", n, refused.Load())
			}
			if kind != "user" {
				return
			}
			if n := mustThrottle(t, "user-"+name).Spec.Failures; n != looked.Load() {
				t.Errorf("%d failures are counted of %d", n, looked.Load())
			}
		})
	}
}
