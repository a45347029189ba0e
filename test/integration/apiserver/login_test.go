// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func refusedLogins(t *testing.T) map[string]wire.Request {
	t.Helper()
	good := set().User(t, "good", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Email = "good@example.com" })
	disabled := set().User(t, "disabled", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true })
	bare := set().User(t, "bare", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.PasswordSecretRef = nil })
	required := set().User(t, "required",
		func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.TwoFactor = kubevisionv1alpha1.TwoFactorRequired })
	good.Login(t, direct(t), wire.DirectPath)
	request := func(name, password string) wire.Request { return fixture.LoginRequest(wire.DirectPath, name, password) }
	return map[string]wire.Request{
		"unknown user":                  request(fixture.Name("nobody"), "wrong"),
		"wrong password":                request(good.Name, "wrong"),
		"disabled, right password":      request(disabled.Name, disabled.Password),
		"disabled, wrong password":      request(disabled.Name, "wrong"),
		"no password":                   request(bare.Name, "wrong"),
		"second factor, wrong password": request(required.Name, "wrong"),
		"email address":                 request(good.Object.Spec.Email, good.Password),
		"name that cannot be":           request("../../"+good.Name, good.Password),
		"name of a Kubernetes user":     request("kubevision:"+good.Name, good.Password),
		"hash instead of the password": request(good.Name,
			"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5"),
		"name with blanks":                request(" "+good.Name+" ", good.Password),
		"password with a byte too many":   request(good.Name, good.Password+"\x00"),
		"password with a byte too few":    request(good.Name, good.Password[:len(good.Password)-1]),
		"password of another user":        request(good.Name, required.Password),
		"name of the credentials' Secret": request("kubevision-credentials-"+good.Name, good.Password),
	}
}

// TestRefusedLoginsLookAlike verifies that the responses to failed logins differ only in the request id.
func TestRefusedLoginsLookAlike(t *testing.T) {
	client := direct(t)
	var first []byte
	for name, r := range refusedLogins(t) {
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

// TestRefusedLoginsTakeEquallyLong verifies that each failed login computes exactly one password hash. Without a hash,
// the response would be faster, and reveal the cause of the failure.
func TestRefusedLoginsTakeEquallyLong(t *testing.T) {
	client, operator := direct(t), direct(t, admin())
	for name, r := range refusedLogins(t) {
		set().Forgive(t) // a throttled login is faster
		before := hashes(t, operator)
		client.Call(t, r).Want(t, wire.Unauthenticated)
		if n := hashes(t, operator) - before; n != 1 {
			t.Errorf("%s: %d passwords were hashed, want 1", name, n)
		}
	}
}

func hashes(t *testing.T, operator *wire.Client) int {
	t.Helper()
	const count = "\nkubevision_authentication_password_hash_duration_seconds_count "
	_, after, found := strings.Cut(string(operator.Send(t, wire.Request{Path: "/metrics"}).Body), count)
	line, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(line)
	if !found || err != nil {
		t.Fatalf("the number of hashes in /metrics is %q: %v", line, err)
	}
	return n
}

// TestFormsOfNamesAndPasswords verifies that different Unicode forms of a name or a password are equivalent, also for
// the counters of failures.
func TestFormsOfNamesAndPasswords(t *testing.T) {
	const composed, decomposed = "caf\u00e9 au lait d'\u00e9t\u00e9", "cafe\u0301 au lait d'e\u0301te\u0301"
	u, client := set().User(t, "forms"), direct(t)
	secret := &corev1.Secret{}
	key := types.NamespacedName{Namespace: fixture.SystemNamespace, Name: u.Object.Spec.PasswordSecretRef.Name}
	if err := env.Client.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	secret.Data["password"] = []byte(decomposed)
	if err := env.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "log in with the password in another form", func(ctx context.Context) error {
		set().Forgive(t)
		return client.Answers(ctx, wire.OK, fixture.LoginRequest(wire.DirectPath, u.Name, composed))
	})
	wide := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + '\uff41'
		}
		return r
	}, u.Name)
	for _, name := range []string{strings.ToUpper(u.Name), strings.ToUpper(u.Name[:1]) + u.Name[1:], wide} {
		e := client.Call(t, fixture.LoginRequest(wire.DirectPath, name, decomposed)).Want(t, wire.OK)
		if !bytes.Contains(e.Raw, []byte(`"username":"`+u.Name+`"`)) {
			t.Errorf("%q logs in as %s", name, e.Raw)
		}
	}
	for range freeFailures {
		client.Call(t, wrong(strings.ToUpper(u.Name))).Want(t, wire.Unauthenticated)
	}
	client.Call(t, wrong(u.Name)).Want(t, wire.TooManyRequests)
}

// TestManyLogins verifies that each of many concurrent logins succeeds or is rejected with the code TooManyRequests.
// Other requests must succeed during the logins.
func TestManyLogins(t *testing.T) {
	const parallel = 50
	a, other := newActor(t, ""), newActor(t, "") // the logins end the oldest sessions of a
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
			if err := another(t).Answers(t.Context(), wire.OK,
				wire.Request{Path: wire.DirectPath + me, Bearer: other.AccessToken}); err != nil {
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
			response, err := another(t).Do(t.Context(), fixture.LoginRequest(wire.DirectPath, a.Name, a.Password))
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
	t.Logf("codes %v, the longest login took %s, another request %s", codes, longest.Round(time.Millisecond),
		others.Round(time.Millisecond))
	if codes[wire.OK] == 0 || codes[wire.OK]+codes[wire.TooManyRequests] != parallel ||
		len(sessions) != codes[wire.OK] {
		t.Errorf("codes %v with %d sessions", codes, len(sessions))
	}
	another(t).Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)).Want(t, wire.OK)
}

// TestALoginTellsEnough verifies that the response to a login contains the name and the role of the user. The response
// must not contain the password or a hash.
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
