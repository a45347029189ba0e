// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const twoFactorFailed = 40103

type enrolment struct {
	Secret        string   `json:"secret"`
	OTPAuthURL    string   `json:"otpauthUrl"`
	QRCode        string   `json:"qrCode"`
	RecoveryCodes []string `json:"recoveryCodes"`

	// proof is the code that has activated the second factor.
	proof string
}

func as(token string, r wire.Request) wire.Request {
	r.Bearer = token
	return r
}

// code returns the one-time code of a period of 30 seconds. The parameter steps is the offset of this period from the
// current period. If the current period is about to end, code waits for the next period.
func code(tb testing.TB, secret string, steps int) string {
	tb.Helper()
	if into := time.Now().Unix() % 30; into >= 27 {
		time.Sleep(time.Duration(30-into) * time.Second)
	}
	made, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// enrol sets up a second factor for a user. It uses the one-time code of the previous 30 seconds. Therefore, a test can
// still use the current code.
func enrol(tb testing.TB, a actor) enrolment {
	tb.Helper()
	var made enrolment
	direct(tb).Call(tb, as(a.AccessToken, post(tb, "/auth/2fa/setup", map[string]string{}))).Want(tb,
		wire.OK).Into(tb, &made)
	made.proof = code(tb, made.Secret, -1)
	direct(tb).Call(tb, as(a.AccessToken, post(tb, "/auth/2fa/enable", map[string]string{"code": made.proof}))).Want(tb,
		wire.OK)
	return made
}

func challenge(tb testing.TB, u fixture.User) string {
	tb.Helper()
	var data struct {
		Requires2FA  bool   `json:"requires2fa"`
		SessionToken string `json:"sessionToken"`
		TempToken    string `json:"tempToken"`
		AccessToken  string `json:"accessToken"`
	}
	direct(tb).Call(tb, fixture.LoginRequest(wire.DirectPath, u.Name, u.Password)).Want(tb,
		wire.TwoFactorRequired).Into(tb, &data)
	if !data.Requires2FA || data.SessionToken == "" || data.SessionToken != data.TempToken || data.AccessToken != "" {
		tb.Fatalf("the challenge is %+v", data)
	}
	return data.SessionToken
}

func verify(tb testing.TB, token, code string) wire.Request {
	tb.Helper()
	return post(tb, "/auth/2fa/verify", map[string]string{"tempToken": token, "code": code})
}

func recovery(tb testing.TB, token, code string) wire.Request {
	tb.Helper()
	return post(tb, "/auth/2fa/recovery", map[string]string{"sessionToken": token, "recoveryCode": code})
}

func TestTwoFactor(t *testing.T) {
	c := direct(t)
	a := newActor(t, "")
	other := a.User.Login(t, c, wire.DirectPath)
	made := enrol(t, a)
	if len(made.RecoveryCodes) != 10 || !strings.HasPrefix(made.QRCode, "data:image/png;base64,") ||
		!strings.Contains(made.OTPAuthURL, made.Secret) {
		t.Errorf("the set-up is incomplete: %d recovery codes, URL %s", len(made.RecoveryCodes), made.OTPAuthURL)
	}
	soon(t, c, wire.TokenExpired, wire.Request{Path: wire.DirectPath + me, Bearer: other.AccessToken})
	c.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken}).Want(t, wire.OK)

	token := challenge(t, a.User)
	for _, path := range []string{me, clusterList, me + "/sessions"} {
		c.Call(t, wire.Request{Path: wire.DirectPath + path, Bearer: token}).Want(t, wire.Unauthenticated)
	}
	c.Call(t, verify(t, token, "000000")).Want(t, twoFactorFailed)
	c.Call(t, verify(t, token, made.proof)).Want(t, twoFactorFailed)
	right := code(t, made.Secret, 0)
	login := renewed(t, c.Call(t, verify(t, token, right)))
	c.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: login.AccessToken}).Want(t, wire.OK)
	c.Call(t, verify(t, token, code(t, made.Secret, 1))).Want(t, twoFactorFailed) // the challenge was completed before
	c.Call(t, verify(t, challenge(t, a.User), right)).Want(t, twoFactorFailed)    // the code was used before
	renewed(t, c.Call(t, refresh(t, login.RefreshToken)))

	for name, body := range map[string]map[string]string{"no token": {"code": "1"}, "no code": {"tempToken": token}} {
		if e := c.Call(t, post(t, "/auth/2fa/verify", body)); e.Code != wire.Required {
			t.Errorf("%s: code %d", name, e.Code)
		}
	}
	c.Call(t, verify(t, login.AccessToken, "123456")).Want(t, wire.Unauthenticated)
	c.Call(t, verify(t, login.RefreshToken, "123456")).Want(t, wire.Unauthenticated)
}

func TestRecoveryCodes(t *testing.T) {
	c := direct(t)
	a, b := newActor(t, ""), newActor(t, "")
	made, others := enrol(t, a), enrol(t, b)
	c.Call(t, recovery(t, challenge(t, a.User), others.RecoveryCodes[0])).Want(t, twoFactorFailed)
	login := renewed(t, c.Call(t, recovery(t, challenge(t, a.User), strings.ToUpper(made.RecoveryCodes[0]))))
	c.Call(t, recovery(t, challenge(t, a.User), made.RecoveryCodes[0])).Want(t, twoFactorFailed)
	fixture.Eventually(t, "see how many recovery codes are left", func(context.Context) error {
		e := c.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: login.AccessToken}).Want(t, wire.OK)
		if !strings.Contains(string(e.Data), `"recoveryCodesRemaining":9`) {
			return fmt.Errorf("not 9: %s", e.Data)
		}
		return nil
	})

	var renewedCodes struct {
		RecoveryCodes []string `json:"recoveryCodes"`
	}
	r := post(t, "/auth/2fa/recovery-codes", map[string]string{"code": code(t, made.Secret, 0)})
	c.Call(t, as(login.AccessToken, r)).Want(t, wire.OK).Into(t, &renewedCodes)
	c.Call(t, recovery(t, challenge(t, a.User), made.RecoveryCodes[1])).Want(t, twoFactorFailed)
	c.Call(t, recovery(t, challenge(t, a.User), renewedCodes.RecoveryCodes[1])).Want(t, wire.OK)
	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(),
		client.ObjectKey{Namespace: "kubevision-system", Name: "kubevision-credentials-" + a.Name},
		secret); err != nil {
		t.Fatal(err)
	}
	for _, stored := range secret.Data {
		if strings.Contains(string(stored), renewedCodes.RecoveryCodes[2]) ||
			strings.Contains(string(stored), strings.ReplaceAll(renewedCodes.RecoveryCodes[2], "-", "")) {
			t.Error("a recovery code is stored in clear text")
		}
	}
}

// TestTries verifies the limits for wrong one-time codes at a login:
//   - After five wrong codes, the user must enter the password again.
//   - After ten wrong codes, the next code of the user is delayed.
//   - Existing sessions of the user continue.
func TestTries(t *testing.T) {
	c := direct(t)
	a := newActor(t, "")
	made := enrol(t, a)
	token := challenge(t, a.User)
	for range 5 {
		c.Call(t, verify(t, token, "000000")).Want(t, twoFactorFailed)
	}
	c.Call(t, verify(t, token, code(t, made.Secret, 0))).Want(t, twoFactorFailed)
	token = challenge(t, a.User) // a correct password does not reset the wrong codes
	for range 5 {
		c.Call(t, verify(t, token, "000000")).Want(t, twoFactorFailed)
	}
	e := c.Call(t, verify(t, challenge(t, a.User), code(t, made.Secret, 0))).Want(t, twoFactorFailed)
	if e.Meta.RetryAfterSeconds < 1 {
		t.Errorf("after ten wrong codes the correct one must be delayed; retryAfterSeconds is %d",
			e.Meta.RetryAfterSeconds)
	}
	c.Call(t, recovery(t, challenge(t, a.User), made.RecoveryCodes[0])).Want(t, twoFactorFailed)
	// Existing sessions are not affected.
	c.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken}).Want(t, wire.OK)
}

// TestOneCodeOneLogin verifies that only one of fifty concurrent logins with the same code on two replicas succeeds.
func TestOneCodeOneLogin(t *testing.T) {
	clients := pair(t)
	race := func(t *testing.T, request func(i int) wire.Request) {
		t.Helper()
		var successes atomic.Int32
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				response, err := clients[i%2].Do(t.Context(), request(i))
				if err != nil {
					t.Error(err)
					return
				}
				e, err := response.Parse()
				switch {
				case err != nil:
					t.Error(err)
				case e.Code == wire.OK:
					successes.Add(1)
				case e.Code != twoFactorFailed:
					t.Errorf("code %d: %s", e.Code, e.Message)
				}
			})
		}
		group.Wait()
		if n := successes.Load(); n != 1 {
			t.Errorf("%d logins with one code", n)
		}
	}
	t.Run("one-time code", func(t *testing.T) {
		a := newActor(t, "")
		made := enrol(t, a)
		tokens := []string{challenge(t, a.User), challenge(t, a.User), challenge(t, a.User)}
		right := code(t, made.Secret, 0)
		race(t, func(i int) wire.Request { return verify(t, tokens[i%3], right) })
	})
	t.Run("recovery code", func(t *testing.T) {
		a := newActor(t, "")
		made := enrol(t, a)
		tokens := []string{challenge(t, a.User), challenge(t, a.User), challenge(t, a.User)}
		race(t, func(i int) wire.Request { return recovery(t, tokens[i%3], made.RecoveryCodes[0]) })
	})
}

// TestReplacingASecondFactor verifies that a session alone is not sufficient to replace a second factor.
func TestReplacingASecondFactor(t *testing.T) {
	c := direct(t)
	a := newActor(t, "")
	made := enrol(t, a)
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/setup", map[string]string{}))).Want(t, wire.TwoFactorRequired)
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/setup", map[string]string{"password": "wrong"}))).Want(t,
		twoFactorFailed)
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/disable", map[string]string{"code": "000000"}))).Want(t,
		twoFactorFailed)
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/disable", map[string]string{}))).Want(t, wire.Required)
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/setup", map[string]string{"password": a.Password}))).Want(t, wire.OK)
	// The old second factor remains valid until the new one is confirmed.
	renewed(t, c.Call(t, verify(t, challenge(t, a.User), code(t, made.Secret, 0))))
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/disable",
		map[string]string{"code": code(t, made.Secret, 1)}))).Want(t, wire.OK)
	renewed(t, c.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)))
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/disable", map[string]string{"code": "123456"}))).Want(t, 40900)
}

// TestASecondFactorThatIsRequired verifies that a user without the required second factor can only set up this factor.
func TestASecondFactorThatIsRequired(t *testing.T) {
	c := direct(t)
	a := newActor(t, "") // the user is created before the policy requires a second factor
	u := a.Object.DeepCopy()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"twoFactor":"Required"}}`))
	if err := env.Client.Patch(t.Context(), u, patch); err != nil {
		t.Fatal(err)
	}
	soon(t, c, wire.TwoFactorRequired, wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken})
	c.Call(t, wire.Request{Path: wire.DirectPath + clusterList, Bearer: a.AccessToken}).Want(t, wire.TwoFactorRequired)
	var data struct {
		SetupRequired bool   `json:"setupRequired"`
		AccessToken   string `json:"accessToken"`
	}
	c.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)).Want(t, wire.TwoFactorRequired).Into(t, &data)
	if !data.SetupRequired || data.AccessToken == "" {
		t.Fatalf("the response of the login is %+v", data)
	}
	limited := actor{User: a.User, Login: fixture.Login{AccessToken: data.AccessToken}}
	made := enrol(t, limited)
	c.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: data.AccessToken}).Want(t, wire.OK)
	c.Call(t, as(data.AccessToken, post(t, "/auth/2fa/disable",
		map[string]string{"code": code(t, made.Secret, 0)}))).Want(t, 40900)
	found := &kubevisionv1alpha1.KubeVisionUser{}
	fixture.Eventually(t, "see the second factor in the status", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKey{Name: a.Name}, found); err != nil {
			return err
		}
		if !found.Status.TwoFactorEnabled || found.Status.RecoveryCodesRemaining == nil ||
			*found.Status.RecoveryCodesRemaining != 10 {
			return errors.New("not yet")
		}
		return nil
	})
}
