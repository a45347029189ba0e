// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// refusals are logins that fail, each for another reason.
func refusals(t *testing.T) map[string]wire.Request {
	t.Helper()
	good := set().User(t, "good")
	disabled := set().User(t, "disabled", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true })
	bare := set().User(t, "bare", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.PasswordSecretRef = nil })
	required := set().User(t, "required", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.TwoFactor = kubevisionv1alpha1.TwoFactorRequired })
	good.Login(t, direct(t), wire.DirectPath)
	request := func(name, password string) wire.Request { return fixture.LoginRequest(wire.DirectPath, name, password) }
	return map[string]wire.Request{
		"unknown user":                    request(fixture.Name("nobody"), "wrong"),
		"wrong password":                  request(good.Name, "wrong"),
		"disabled, right password":        request(disabled.Name, disabled.Password),
		"disabled, wrong password":        request(disabled.Name, "wrong"),
		"no password":                     request(bare.Name, "wrong"),
		"second factor, wrong password":   request(required.Name, "wrong"),
		"name in capitals":                request(strings.ToUpper(good.Name), good.Password),
		"name that cannot be":             request("../../"+good.Name, good.Password),
		"name of a Kubernetes user":       request("kubevision:"+good.Name, good.Password),
		"hash instead of the password":    request(good.Name, "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5"),
		"name with blanks":                request(" "+good.Name+" ", good.Password),
		"password with a byte too many":   request(good.Name, good.Password+"\x00"),
		"password with a byte too few":    request(good.Name, good.Password[:len(good.Password)-1]),
		"password of another user":        request(good.Name, required.Password),
		"name of the credentials' Secret": request("kubevision-credentials-"+good.Name, good.Password),
	}
}

// TestRefusedLoginsLookAlike to the last byte, but for the request id.
func TestRefusedLoginsLookAlike(t *testing.T) {
	client := direct(t)
	var first []byte
	for name, r := range refusals(t) {
		e := client.Call(t, r).Want(t, wire.Unauthenticated)
		body := bytes.ReplaceAll(e.Raw, []byte(e.Meta.RequestID), []byte("ID"))
		if first == nil {
			first = body
		}
		if !bytes.Equal(first, body) {
			t.Errorf("%s: %s, elsewhere %s", name, body, first)
		}
	}
}

// TestRefusedLoginsTakeEquallyLong, about: a machine that does other things meanwhile cannot measure better.
func TestRefusedLoginsTakeEquallyLong(t *testing.T) {
	const (
		rounds = 15
		free   = 4 // one less than what would be refused without a look
	)
	client, requests := direct(t), refusals(t)
	took := map[string][]time.Duration{}
	names := []string{"unknown user", "wrong password", "disabled, right password", "no password", "name that cannot be", "second factor, wrong password"}
	for round := range rounds { // in turns, so that the load of the machine is the same for all
		if round%free == 0 {
			set().Forgive(t)
		}
		// In another order each time: a failed login makes the next one wait.
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] }) //nolint:gosec // only an order
		for _, name := range names {
			begun := time.Now()
			client.Call(t, requests[name]).Want(t, wire.Unauthenticated)
			took[name] = append(took[name], time.Since(begun))
		}
	}
	var shortest []time.Duration // other load can make a login slower than it is, and never faster
	for name, times := range took {
		slices.Sort(times)
		shortest = append(shortest, times[0])
		t.Logf("%-30s median %s, least %s", name, times[rounds/2].Round(10*time.Microsecond), times[0].Round(10*time.Microsecond))
	}
	if least, most := slices.Min(shortest), slices.Max(shortest); most > 2*least {
		t.Errorf("the shortest take between %s and %s", least, most)
	}
}

// TestManyLogins at once are all answered, with a session or with a time to come back, and hold up nobody else.
func TestManyLogins(t *testing.T) {
	const parallel = 50
	a := newActor(t, "")
	var (
		group           sync.WaitGroup
		mu              sync.Mutex
		codes           = map[int]int{}
		sessions        = map[string]bool{}
		longest, others time.Duration
	)
	stop := make(chan struct{})
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			begun := time.Now()
			if err := direct(t).Answers(t.Context(), wire.OK, wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken}); err != nil {
				t.Errorf("meanwhile: %v", err)
				return
			}
			others = max(others, time.Since(begun))
		}
	})
	var logins sync.WaitGroup
	for range parallel {
		logins.Go(func() {
			begun := time.Now()
			response, err := direct(t).Do(t.Context(), fixture.LoginRequest(wire.DirectPath, a.Name, a.Password))
			if err != nil {
				t.Error(err)
				return
			}
			e, err := response.Parse()
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			codes[e.Code]++
			longest = max(longest, time.Since(begun))
			if e.Code == wire.OK {
				var l fixture.Login
				e.Into(t, &l)
				sessions[fixture.Take(t, l.AccessToken).Session()] = true
			}
		})
	}
	logins.Wait()
	close(stop)
	group.Wait()
	t.Logf("codes %v, the longest login took %s, another request %s", codes, longest.Round(time.Millisecond), others.Round(time.Millisecond))
	if codes[wire.OK] == 0 || codes[wire.OK]+codes[wire.TooManyRequests] != parallel || len(sessions) != codes[wire.OK] {
		t.Errorf("codes %v with %d sessions", codes, len(sessions))
	}
	direct(t).Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)).Want(t, wire.OK)
}

// TestALoginTellsEnough and not more than enough.
func TestALoginTellsEnough(t *testing.T) {
	a := newActor(t, "readonly")
	e := direct(t).Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)).Want(t, wire.OK)
	var data struct {
		fixture.Login
		User map[string]any `json:"user"`
	}
	e.Into(t, &data)
	for name, want := range map[string]any{"id": a.Name, "username": a.Name, "role": "viewer", "totpEnabled": false} {
		if data.User[name] != want {
			t.Errorf("user.%s is %v, want %v", name, data.User[name], want)
		}
	}
	for _, secret := range []string{a.Password, "argon2", "passwordHash", "refreshTokenHash"} {
		if bytes.Contains(e.Raw, []byte(secret)) {
			t.Errorf("the login contains %s", secret)
		}
	}
	if data.AccessToken == a.AccessToken || data.RefreshToken == a.RefreshToken {
		t.Error("two logins have the same token")
	}
}
