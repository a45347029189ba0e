// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func eventsByReason(ctx context.Context, u fixture.User) (map[string][]corev1.Event, error) {
	var all corev1.EventList
	if err := env.Client.List(ctx, &all); err != nil {
		return nil, err
	}
	out := map[string][]corev1.Event{}
	for i := range all.Items {
		if e := &all.Items[i]; e.InvolvedObject.Kind == "KubeVisionUser" && e.InvolvedObject.UID == u.Object.UID {
			out[e.Reason] = append(out[e.Reason], *e)
		}
	}
	return out, nil
}

func awaitEvents(t *testing.T, u fixture.User, reasons ...string) map[string][]corev1.Event {
	t.Helper()
	var found map[string][]corev1.Event
	fixture.Eventually(t, fmt.Sprintf("see the events %v", reasons), func(ctx context.Context) (err error) {
		if found, err = eventsByReason(ctx, u); err != nil {
			return err
		}
		for _, reason := range reasons {
			if len(found[reason]) == 0 {
				return fmt.Errorf("there is no %s", reason)
			}
		}
		return nil
	})
	return found
}

func auditLines(t *testing.T, text string) []string {
	t.Helper()
	all, err := os.ReadFile(env.KubeVision.APIServer().LogFile())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, "Security event") && strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// wantLogged waits until the audit log has a line for each entry of reasons. The line must name the user, have the key
// as its reason, and contain the value as text. The server may write the line after it has sent the response.
func wantLogged(t *testing.T, u fixture.User, reasons map[string]string) {
	t.Helper()
	fixture.Eventually(t, "find the lines of the audit log", func(context.Context) error {
		lines := auditLines(t, `user="`+u.Name+`"`)
		for reason, text := range reasons {
			if !slices.ContainsFunc(lines, func(l string) bool {
				return strings.Contains(l, `reason="`+reason+`"`) && strings.Contains(l, text)
			}) {
				return fmt.Errorf("the log does not contain %s (%s):\n%s", reason, text, strings.Join(lines, ""))
			}
		}
		return nil
	})
}

// TestEvents verifies that each login, each failed login and each change of credentials causes an Event and a line in
// the audit log. The Event contains neither the address of the client nor the reason of a failure.
func TestEvents(t *testing.T) {
	c, manager := direct(t), newActor(t, "admin")
	a := newActor(t, "")
	c.Call(t, wrong(a.Name)).Want(t, wire.Unauthenticated)
	c.Call(t, changePassword(t, a.AccessToken, "wrong", anotherPassword)).Want(t, wire.Unauthenticated)
	c.Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
	a.User.Password = anotherPassword
	made := enrol(t, a)
	c.Call(t, verify(t, challenge(t, a.User), "000000")).Want(t, twoFactorFailed)
	c.Call(t, recovery(t, challenge(t, a.User), made.RecoveryCodes[0])).Want(t, wire.OK)
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/recovery-codes",
		map[string]string{"code": code(t, made.Secret, 0)}))).Want(t, wire.OK)
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/disable",
		map[string]string{"code": code(t, made.Secret, 1)}))).Want(t, wire.OK)
	for _, name := range []string{"reset-2fa", "revoke-sessions", "reset-password"} {
		c.Call(t, management(t, manager.AccessToken, a.Name)[name]).Want(t, wire.OK)
	}
	lock(t, a.Name, c)
	reasons := map[string]string{
		"LoggedIn": `detail="pwd"`, "LoginFailed": `detail="the password is wrong"`,
		"PasswordChangeRefused": "address=", "PasswordChanged": "session=",
		"SecondFactorEnabled": "session=", "SecondFactorFailed": "detail=", "RecoveryCodeUsed": "address=",
		"RecoveryCodesRenewed": "session=",
		"SecondFactorDisabled": "session=", "SecondFactorReset": "actor=", "SessionEnded": "actor=",
		"PasswordReset": `actor="kubevision:` + manager.Name + `"`,
		"AccountLocked": `detail="for 30s"`,
	}
	var names []string
	for reason := range reasons {
		names = append(names, reason)
	}
	found := awaitEvents(t, a.User, names...)
	wantLogged(t, a.User, reasons)
	wantLogged(t, a.User, map[string]string{"SecondFactorDue": "", "SecondFactorSetUp": ""})
	for _, reason := range []string{"LoginFailed", "AccountLocked", "SecondFactorFailed", "PasswordChangeRefused"} {
		if e := found[reason][0]; e.Type != corev1.EventTypeWarning {
			t.Errorf("%s is of type %s", reason, e.Type)
		}
	}
	for reason, events := range found {
		for _, e := range events {
			if e.Namespace != system {
				t.Errorf("%s has an event in the namespace %s", reason, e.Namespace)
			}
			for _, hidden := range []string{"127.0.0.1", "::1", "the password is wrong", "expired or was used", "pwd",
				"30s", "from "} {
				if strings.Contains(e.Message, hidden) {
					t.Errorf("%s mentions %q: %s", reason, hidden, e.Message)
				}
			}
		}
	}
	if failed := found["LoginFailed"][0]; failed.Message != "a login failed" {
		t.Errorf("the event of a failed login contains %q", failed.Message)
	}
	if message := found["PasswordReset"][0].Message; !strings.Contains(message, manager.Name) {
		t.Errorf("the reset does not name its author: %s", message)
	}
}

func TestWrongOldPasswordsLockNoAccount(t *testing.T) {
	c, a := direct(t), newActor(t, "")
	for range freeFailures {
		c.Call(t, changePassword(t, a.AccessToken, "wrong", anotherPassword)).Want(t, wire.Unauthenticated)
	}
	c.Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.TooManyRequests)
	c.Call(t, right(a.User)).Want(t, wire.OK)
	if found := awaitEvents(t, a.User, "PasswordChangeRefused", "LoggedIn"); len(found["AccountLocked"]) > 0 {
		t.Errorf("the events report a lock that does not exist: %s", found["AccountLocked"][0].Message)
	}
	for _, line := range auditLines(t, `user="`+a.Name+`"`) {
		if strings.Contains(line, "AccountLocked") ||
			(strings.Contains(line, "PasswordChangeRefused") && !strings.Contains(line, "session=")) {
			t.Errorf("the log line contains no session: %s", line)
		}
	}
}

// TestEventsOfADisabledUser verifies that the audit log contains the reason of a failed login of a disabled user. The
// response must have the same code as for a wrong password.
func TestEventsOfADisabledUser(t *testing.T) {
	u := set().User(t, "disabled")
	u.Login(t, direct(t), wire.DirectPath)
	disable(t, u, true)
	becomes(t, direct(t), wire.Unauthenticated, right(u))
	wantLogged(t, u, map[string]string{"LoginFailed": "the user is disabled"})
}

// TestManyFailuresAreFewEvents verifies that many failures cause few events, so that an attacker cannot fill etcd with
// events.
func TestManyFailuresAreFewEvents(t *testing.T) {
	const failures = 40
	c, u := direct(t), set().User(t, "attacked")
	u.Login(t, c, wire.DirectPath)
	for i := range failures {
		if i%freeFailures == 0 {
			set().Delete(t, newThrottle("user-"+u.Name))
			becomes(t, c, wire.OK, right(u)) // the server has the user in its cache
		}
		c.Call(t, wrong(u.Name)).Want(t, wire.Unauthenticated)
	}
	for range 20 {
		c.Call(t, wrong(u.Name)).Want(t, wire.TooManyRequests)
	}
	found := awaitEvents(t, u, "LoginFailed", "AccountLocked")
	for reason, events := range found {
		if len(events) > 3 {
			t.Errorf("%d events %s", len(events), reason)
		}
	}
	if lines := auditLines(t, `user="`+u.Name+`"`); len(lines) < failures || len(lines) > 3*failures {
		t.Errorf("the log has %d lines of %d failures", len(lines), failures)
	}
	if events := found["LoginBlocked"]; len(events) > 0 {
		t.Errorf("there are %d events of attempts that were not verified", len(events))
	}
}

// TestNothingTypedIsTold verifies that events and logs contain no passwords, codes or tokens from requests. Unknown
// user names must not appear, either, because a user may type the password into the wrong field.
func TestNothingTypedIsTold(t *testing.T) {
	c, manager := direct(t), newActor(t, "admin")
	a := newActor(t, "admin")
	secrets := canaries(t, a)
	typed := map[string]string{
		"wrong password": "wrong-4711-canary", "new password": "canary lamp orbit walnut",
		"weak password": "canaryweak", "reset password": "canary tundra velvet fig",
		"unknown name": "hunter2-canary-name", "unknown name in an address": "Hunter3 canary/name",
		"session token": "canary.session.token",
		"code":          "0canary0", "header code": "9canary9", "refresh token": "01arz3ndektsv4rrffq69g5fav.canary",
		"field": "canaryfield",
	}
	for range freeFailures + 1 {
		c.Call(t, fixture.LoginRequest(wire.DirectPath, typed["unknown name"], a.Password))
		c.Call(t, fixture.LoginRequest(wire.DirectPath, typed["unknown name in an address"], typed["wrong password"]))
	}
	c.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, typed["wrong password"])).Want(t, wire.Unauthenticated)
	c.Call(t, changePassword(t, a.AccessToken, a.Password, typed["weak password"])).Want(t, wire.Invalid)
	c.Call(t, changePassword(t, a.AccessToken, typed["wrong password"], typed["new password"])).Want(t,
		wire.Unauthenticated)
	c.Call(t, refresh(t, typed["refresh token"])).Want(t, wire.Unauthenticated)
	c.Call(t, verify(t, typed["session token"], typed["code"])).Want(t, wire.Unauthenticated)
	c.Call(t, post(t, "/auth/login", map[string]string{typed["field"]: typed["new password"]})).Want(t, wire.Invalid)
	made := enrol(t, a)
	token := challenge(t, a.User)
	c.Call(t, verify(t, token, typed["code"])).Want(t, twoFactorFailed)
	c.Call(t, recovery(t, token, typed["code"])).Want(t, twoFactorFailed)
	c.Call(t, withCode(typed["header code"], management(t, a.AccessToken, manager.Name)["reset-2fa"])).Want(t,
		twoFactorFailed)
	c.Call(t, changePassword(t, a.AccessToken, a.Password, typed["new password"])).Want(t, wire.OK)
	reset := put(t, "/users/"+a.Name+"/reset-password", map[string]string{"newPassword": typed["reset password"]})
	c.Call(t, as(manager.AccessToken, reset)).Want(t, wire.OK)
	maps.Copy(secrets, typed)
	secrets["challenge"] = token[strings.LastIndex(token, ".")+1:]
	secrets["TOTP secret"], secrets["recovery code"] = made.Secret, made.RecoveryCodes[0]
	delete(secrets, "field")
	awaitEvents(t, a.User, "PasswordReset", "SecondFactorFailed")
	for _, path := range []string{env.KubeVision.APIServer().LogFile(), env.KubeVision.ControllerManager().LogFile()} {
		wantNoSecrets(t, path, secrets)
	}
	for _, list := range []client.ObjectList{
		&kubevisionv1alpha1.KubeVisionUserList{}, &kubevisionv1alpha1.KubeVisionSessionList{},
		&kubevisionv1alpha1.KubeVisionLoginThrottleList{},
		&corev1.EventList{}, &corev1.ConfigMapList{},
	} {
		text := listAsJSON(t, list)
		for name, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("a %T holds the %s", list, name)
			}
		}
	}
	if metrics := direct(t, admin()).Send(t, wire.Request{Path: "/metrics"}); !bytes.Contains(metrics.Body,
		[]byte(`kubevision_authentication_events_total{reason="LoginFailed"}`)) {
		t.Error("there is no metric of failed logins")
	}
}

func listAsJSON(t *testing.T, list client.ObjectList) []byte {
	t.Helper()
	if err := env.Client.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
