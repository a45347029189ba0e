// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// ending is an operation that ends the sessions of an actor, except the session that performs it.
type ending struct {
	enrolled bool // requires a second factor
	keeps    bool // true if the session that performs the operation continues
	end      func(*testing.T, actor, enrolment)
}

func annotate(t *testing.T, u fixture.User) {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"kubevision.io/reset-two-factor":""}}}`))
	if err := env.Client.Patch(t.Context(), u.Object.DeepCopy(), patch); err != nil {
		t.Fatal(err)
	}
}

// replacePasswordInSecret changes the password in the Secret of a user. It waits until KubeVision has stored the new
// password in the credentials of the user.
func replacePasswordInSecret(t *testing.T, u fixture.User, password string) {
	t.Helper()
	const source = "kubevision.io/password-source"
	before := storedCredentials(t, u).Annotations[source]
	set().ReplacePassword(t, u, password)
	fixture.Eventually(t, "see the Secret taken over", func(context.Context) error {
		if storedCredentials(t, u).Annotations[source] == before {
			return errors.New("not yet")
		}
		return nil
	})
}

func endings(manager actor) map[string]ending {
	calls := func(method, path string, body map[string]any) func(*testing.T, actor, enrolment) {
		return func(t *testing.T, a actor, _ enrolment) {
			t.Helper()
			raw, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			direct(t).Call(t, wire.Request{
				Method: method, Path: wire.DirectPath + "/users/" + a.Name + path, Bearer: manager.AccessToken,
				Body: string(raw),
			}).Want(t, wire.OK)
		}
	}
	own := func(path string, body func(*testing.T, actor, enrolment) map[string]string) func(*testing.T, actor,
		enrolment) {
		return func(t *testing.T, a actor, made enrolment) {
			t.Helper()
			direct(t).Call(t, as(a.AccessToken, post(t, path, body(t, a, made)))).Want(t, wire.OK)
		}
	}
	return map[string]ending{
		"logout": {end: own("/auth/logout", func(*testing.T, actor, enrolment) map[string]string { return nil })},
		"session deleted": {end: func(t *testing.T, a actor, _ enrolment) {
			set().Delete(t, &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(t,
				a.AccessToken).Session()}})
		}},
		"user disabled": {end: func(t *testing.T, a actor, _ enrolment) { disable(t, a.User, true) }},
		"user deleted":  {end: func(t *testing.T, a actor, _ enrolment) { set().Delete(t, a.Object) }},
		"user deleted and made again": {end: func(t *testing.T, a actor, _ enrolment) {
			spec := a.Object.Spec
			set().Delete(t, a.Object)
			set().UserReady(t, recreate(t, a.User, spec))
		}},
		"password changed": {keeps: true, end: func(t *testing.T, a actor, _ enrolment) {
			direct(t).Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
		}},
		"password reset": {end: calls("PUT", "/reset-password", map[string]any{"newPassword": anotherPassword})},
		"Secret changed": {end: func(t *testing.T, a actor, _ enrolment) {
			replacePasswordInSecret(t, a.User, anotherPassword)
		}},
		"sessions ended":  {end: calls("POST", "/revoke-sessions", nil)},
		"2FA reset":       {enrolled: true, end: calls("POST", "/reset-2fa", nil)},
		"2FA reset, none": {end: calls("POST", "/reset-2fa", nil)},
		"2FA reset with kubectl": {enrolled: true, end: func(t *testing.T, a actor, _ enrolment) {
			annotate(t, a.User)
		}},
		"2FA enabled": {keeps: true, end: func(t *testing.T, a actor, _ enrolment) { enrol(t, a) }},
		"2FA disabled": {enrolled: true, keeps: true,
			end: own("/auth/2fa/disable", func(t *testing.T, _ actor, made enrolment) map[string]string {
				t.Helper()
				return map[string]string{"code": code(t, made.Secret, 1)}
			})},
	}
}

// TestWhatEndsAccess verifies that these operations invalidate access and refresh tokens on every replica:
//   - the end or the deletion of sessions
//   - the disabling or the deletion of a user
//   - a change or a reset of a password or of a second factor
//
// If users change their own password or second factor, the session of the request remains valid. The tokens of other
// users remain valid.
func TestWhatEndsAccess(t *testing.T) {
	clients := pair(t)
	neighbour := newActor(t, "")
	for name, tc := range endings(newActor(t, "admin")) {
		t.Run(name, func(t *testing.T) {
			a := newActor(t, "")
			var made enrolment
			var other fixture.Login
			if tc.enrolled {
				made = enrol(t, a)
				other = renewed(t, clients[0].Call(t, verify(t, challenge(t, a.User), code(t, made.Secret, 0))))
			} else {
				other = a.User.Login(t, clients[1], wire.DirectPath)
			}
			for _, c := range clients {
				c.Call(t, whoami(a.AccessToken)).Want(t, wire.OK)
				c.Call(t, whoami(other.AccessToken)).Want(t, wire.OK)
			}
			tc.end(t, a, made)
			one := name == "logout" || name == "session deleted" // these end only one session
			if !one {
				dead(t, other, clients...)
			}
			for _, c := range clients {
				switch {
				case tc.keeps:
					c.Call(t, whoami(a.AccessToken)).Want(t, wire.OK)
					a.Login = renewed(t, c.Call(t, refresh(t, a.RefreshToken)))
				case one:
					dead(t, a.Login, c)
					c.Call(t, whoami(other.AccessToken)).Want(t, wire.OK)
				default:
					dead(t, a.Login, c)
				}
				c.Call(t, whoami(neighbour.AccessToken)).Want(t, wire.OK)
			}
		})
	}
}

// TestLoginsWhileThePasswordChanges verifies that logins during a change of the password leave no session if they use
// the old password. It tests a change by the user and a change of the Secret.
func TestLoginsWhileThePasswordChanges(t *testing.T) {
	clients := pair(t)
	for name, change := range map[string]func(*testing.T, actor){
		"by the user": func(t *testing.T, a actor) {
			t.Helper()
			clients[0].Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
		},
		"by the Secret": func(t *testing.T, a actor) {
			t.Helper()
			replacePasswordInSecret(t, a.User, anotherPassword)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newActor(t, "")
			var (
				group sync.WaitGroup
				mu    sync.Mutex
				begun []fixture.Login
			)
			for i := range 20 {
				group.Go(func() {
					time.Sleep(time.Duration(i) * 20 * time.Millisecond) // spreads the logins over the change
					response, err := clients[i%2].Do(t.Context(), right(a.User))
					if err != nil {
						t.Error(err)
						return
					}
					e, err := response.Parse()
					if err != nil || (e.Code != wire.OK && e.Code != wire.Unauthenticated &&
						e.Code != wire.TooManyRequests) {
						t.Errorf("code %d (%s), %v", e.Code, e.Message, err)
						return
					}
					if e.Code == wire.OK {
						var l fixture.Login
						e.Into(t, &l)
						mu.Lock()
						defer mu.Unlock()
						begun = append(begun, l)
					}
				})
			}
			group.Go(func() {
				time.Sleep(150 * time.Millisecond)
				change(t, a)
			})
			group.Wait()
			t.Logf("%d logins with the old password", len(begun))
			for _, l := range begun {
				dead(t, l, clients...)
			}
			fixture.Eventually(t, "see the sessions removed", func(ctx context.Context) error {
				var sessions kubevisionv1alpha1.KubeVisionSessionList
				if err := env.Client.List(ctx, &sessions,
					client.MatchingLabels{"kubevision.io/user": a.Name}); err != nil {
					return err
				}
				if len(sessions.Items) > 1 {
					return fmt.Errorf("there are %d", len(sessions.Items))
				}
				return nil
			})
		})
	}
}

// TestAResetIsNotUndone verifies that the reset of a password by an administrator has precedence over concurrent
// changes by the holder of the old password.
func TestAResetIsNotUndone(t *testing.T) {
	const reset = "saffron bishop gravel mute"
	c := another(t)
	for round := range 3 {
		a := newActor(t, "")
		stop := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			passwords := []string{a.Password, anotherPassword, aThirdPassword}
			for i := 0; ; {
				select {
				case <-stop:
					return
				default:
				}
				next := passwords[1+i%2]
				response, err := c.Do(t.Context(), changePassword(t, a.AccessToken, passwords[0], next))
				if err != nil {
					t.Error(err)
					return
				}
				if e, err := response.Parse(); err != nil || e.Code != wire.OK {
					return
				}
				passwords[0] = next
				i++
			}
		})
		time.Sleep(time.Duration(300+100*round) * time.Millisecond)
		replacePasswordInSecret(t, a.User, reset)
		time.Sleep(promptly)
		close(stop)
		group.Wait()
		c.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, reset)).Want(t, wire.OK)
		c.Call(t, whoami(a.AccessToken)).Want(t, wire.TokenExpired)
	}
}

// TestASessionThatIsOver verifies that an invalid session cannot change credentials, even if its object still exists.
func TestASessionThatIsOver(t *testing.T) {
	c := direct(t)
	plain, enrolled := newActor(t, ""), newActor(t, "")
	made := enrol(t, enrolled)
	var pending enrolment
	c.Call(t, as(plain.AccessToken, post(t, "/auth/2fa/setup", map[string]string{}))).Want(t, wire.OK).Into(t, &pending)
	if err := env.KubeVision.ControllerManager().Stop(); err != nil {
		t.Fatal(err)
	}
	restart := sync.OnceFunc(func() {
		if err := env.KubeVision.ControllerManager().Start(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restart)
	for _, a := range []actor{plain, enrolled} {
		secret := storedCredentials(t, a.User)
		secret.Data["epoch"], secret.Data["keptSession"] = []byte("another"), nil
		if err := env.Programs.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct { // operations that begin an epoch are at the end
		name    string
		want    int
		request wire.Request
	}{
		{"refresh", wire.Unauthenticated, refresh(t, plain.RefreshToken)},
		{"recovery codes", wire.TokenExpired,
			as(enrolled.AccessToken, post(t, "/auth/2fa/recovery-codes", fields{"code": code(t, made.Secret, 0)}))},
		{"password", wire.TokenExpired, changePassword(t, plain.AccessToken, plain.Password, anotherPassword)},
		{"enable", wire.TokenExpired,
			as(plain.AccessToken, post(t, "/auth/2fa/enable", fields{"code": code(t, pending.Secret, 0)}))},
		{"disable", wire.TokenExpired,
			as(enrolled.AccessToken, post(t, "/auth/2fa/disable", fields{"code": code(t, made.Secret, 1)}))},
	} {
		if e := c.Call(t, tc.request); e.Code != tc.want {
			t.Errorf("%s: code %d (%s), want %d", tc.name, e.Code, e.Message, tc.want)
		}
	}
	restart()
	for _, a := range []actor{plain, enrolled} {
		becomes(t, c, wire.TokenExpired, whoami(a.AccessToken))
	}
}
