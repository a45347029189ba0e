// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const codeHeader = "X-KubeVision-TOTP"

func management(t *testing.T, token, user string) map[string]wire.Request {
	t.Helper()
	return map[string]wire.Request{
		"reset-password": as(token, put(t, "/users/"+user+"/reset-password",
			map[string]string{"newPassword": anotherPassword})),
		"reset-2fa": as(token, wire.Request{Method: "POST",
			Path: wire.DirectPath + "/users/" + user + "/reset-2fa"}),
		"revoke-sessions": as(token, wire.Request{Method: "POST",
			Path: wire.DirectPath + "/users/" + user + "/revoke-sessions"}),
	}
}

func withCode(code string, r wire.Request) wire.Request {
	header := r.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set(codeHeader, code)
	r.Header = header
	return r
}

func TestResetPassword(t *testing.T) {
	c := direct(t)
	manager, victim := newActor(t, "admin"), newActor(t, "")
	path := "/users/" + victim.Name + "/reset-password"
	for name, tc := range map[string]struct {
		path  string
		body  map[string]any
		want  int
		field string
	}{
		"nothing":             {path, map[string]any{}, wire.Required, "newPassword"},
		"a guessable one":     {path, map[string]any{"newPassword": "password1234"}, wire.Invalid, "newPassword"},
		"one with their name": {path, map[string]any{"newPassword": victim.Name + "1"}, wire.Invalid, "newPassword"},
		"a role beside it": {path, map[string]any{"newPassword": anotherPassword, "role": "admin"}, wire.Invalid,
			"role"},
		"groups beside it": {path, map[string]any{"newPassword": anotherPassword, "groups": []string{"x"}},
			wire.Invalid, "groups"},
		"an unknown user": {"/users/" + fixture.Name("nobody") + "/reset-password",
			map[string]any{"newPassword": anotherPassword}, wire.UserNotFound, ""},
		"an invalid name": {"/users/Not_A_Name/reset-password", map[string]any{"newPassword": anotherPassword},
			wire.Invalid, "user"},
		"a name with a slash": {"/users/x%2f..%2f" + victim.Name + "/reset-password",
			map[string]any{"newPassword": anotherPassword}, wire.Invalid, ""},
		"nobody's word for it": {path, map[string]any{"newPassword": anotherPassword, "mustChangePassword": "no"},
			wire.Invalid, "mustChangePassword"},
	} {
		t.Run(name, func(t *testing.T) {
			e := c.Call(t, as(manager.AccessToken, put(t, tc.path, tc.body))).Want(t, tc.want)
			if tc.field != "" && e.Meta.Field != tc.field {
				t.Errorf("meta.field is %q, want %q", e.Meta.Field, tc.field)
			}
		})
	}
	c.Call(t, whoami(victim.AccessToken)).Want(t, wire.OK)

	c.Call(t, as(manager.AccessToken, put(t, path, map[string]any{"newPassword": anotherPassword}))).Want(t, wire.OK)
	dead(t, victim.Login, c)
	c.Call(t, right(victim.User)).Want(t, wire.Unauthenticated)
	e := c.Call(t, fixture.LoginRequest(wire.DirectPath, victim.Name, anotherPassword)).Want(t, wire.OK)
	if !strings.Contains(string(e.Data), `"passwordChangeRequired":true`) {
		t.Errorf("the user is not required to choose another password: %s", e.Data)
	}
	restricted := renewed(t, e)
	c.Call(t, as(restricted.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})).Want(t, wire.Conflict)
	c.Call(t, changePassword(t, restricted.AccessToken, anotherPassword, aThirdPassword)).Want(t, wire.OK)
	c.Call(t, as(restricted.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})).Want(t, wire.OK)

	lasting := map[string]any{"password": anotherPassword, "mustChangePassword": false}
	c.Call(t, as(manager.AccessToken, put(t, path, lasting))).Want(t, wire.OK)
	e = c.Call(t, fixture.LoginRequest(wire.DirectPath, victim.Name, anotherPassword)).Want(t, wire.OK)
	if strings.Contains(string(e.Data), "passwordChangeRequired") {
		t.Errorf("the user is required to choose another password: %s", e.Data)
	}
	source := &corev1.Secret{}
	if err := env.Client.Get(t.Context(),
		client.ObjectKey{Namespace: system, Name: victim.Object.Spec.PasswordSecretRef.Name}, source); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(source.Data["password"]), "$argon2id$") {
		t.Error("the new password is stored in clear text")
	}
	c.Call(t, whoami(manager.AccessToken)).Want(t, wire.OK)
}

// TestResetPasswordOfAUserWithoutOne verifies that a password reset creates a Secret for a user who has no password.
// The reset must fail if a Secret with the same name already exists.
func TestResetPasswordOfAUserWithoutOne(t *testing.T) {
	c, manager := direct(t), newActor(t, "admin")
	without := func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.PasswordSecretRef = nil }
	bare := set().User(t, "bare", without) // the fixture has created a Secret with the name that the API would use
	path := "/users/" + bare.Name + "/reset-password"
	c.Call(t, as(manager.AccessToken, put(t, path, map[string]any{"newPassword": anotherPassword}))).Want(t,
		wire.Conflict)
	source := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: bare.Name + "-password"}}
	set().Delete(t, source)
	c.Call(t, as(manager.AccessToken, put(t, path,
		map[string]any{"newPassword": anotherPassword, "mustChangePassword": false}))).Want(t, wire.OK)
	c.Call(t, fixture.LoginRequest(wire.DirectPath, bare.Name, anotherPassword)).Want(t, wire.OK)
	set().Delete(t, bare.Object)
	set().Gone(t, source)
}

// TestResetPasswordInTheSecretOfAnother verifies that a password reset does not change the Secret of another user.
// Otherwise, an attacker could create a user that refers to the Secret of a victim. A password reset of the new user
// would then set the password of the victim.
func TestResetPasswordInTheSecretOfAnother(t *testing.T) {
	const theirs = "the password of the victim"
	c, manager, victim := direct(t), newActor(t, "admin"), set().User(t, "victim")
	for what, secret := range map[string]*corev1.Secret{
		"by its label": {ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"kubevision.io/user": victim.Name}}},
		"by its owner": {ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{
			APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: "KubeVisionUser",
			Name: victim.Name, UID: victim.Object.UID,
		}}}},
	} {
		t.Run(what, func(t *testing.T) {
			secret.Namespace, secret.Name = system, fixture.Name("password")
			secret.Data = map[string][]byte{"password": []byte(theirs)}
			set().Create(t, secret)
			u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("thief")}}
			u.Spec.PasswordSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: secret.Name}
			set().Create(t, u)
			c.Call(t, management(t, manager.AccessToken, u.Name)["reset-password"]).Want(t, wire.Conflict)
			present(t, secret)
			present(t, u)
			if string(secret.Data["password"]) != theirs || u.Spec.MustChangePassword {
				t.Errorf("an object was written: %+v", u.Spec)
			}
		})
	}
}

func TestRevokeSessions(t *testing.T) {
	c := direct(t)
	manager, victim := newActor(t, "admin"), newActor(t, "")
	second := victim.User.Login(t, c, wire.DirectPath)
	var data struct {
		Revoked int `json:"revoked"`
	}
	request := management(t, manager.AccessToken, victim.Name)["revoke-sessions"]
	c.Call(t, request).Want(t, wire.OK).Into(t, &data)
	if data.Revoked != 2 {
		t.Errorf("%d sessions have ended, want 2", data.Revoked)
	}
	dead(t, victim.Login, c)
	dead(t, second, c)
	c.Call(t, request).Want(t, wire.OK).Into(t, &data)
	if data.Revoked != 0 {
		t.Errorf("%d sessions have ended, want none", data.Revoked)
	}
	c.Call(t, right(victim.User)).Want(t, wire.OK)
	c.Call(t, management(t, manager.AccessToken, fixture.Name("nobody"))["revoke-sessions"]).Want(t, wire.UserNotFound)
}

// TestResetTwoFactor verifies that the password is sufficient after a reset, and that no data of the old second factor
// remain.
func TestResetTwoFactor(t *testing.T) {
	c, manager := direct(t), newActor(t, "admin")
	for name, reset := range map[string]func(*testing.T, actor){
		"by the API": func(t *testing.T, victim actor) {
			t.Helper()
			c.Call(t, management(t, manager.AccessToken, victim.Name)["reset-2fa"]).Want(t, wire.OK)
		},
		"by kubectl": func(t *testing.T, victim actor) {
			t.Helper()
			if _, stderr, err := kubectl(t, "", "annotate", "kvu", victim.Name,
				"kubevision.io/reset-two-factor=now"); err != nil {
				t.Fatalf("%v: %s", err, stderr)
			}
			fixture.Eventually(t, "see the annotation go", func(ctx context.Context) error {
				found := &kubevisionv1alpha1.KubeVisionUser{}
				if err := env.Client.Get(ctx, client.ObjectKey{Name: victim.Name}, found); err != nil {
					return err
				}
				if _, ok := found.Annotations["kubevision.io/reset-two-factor"]; ok {
					return errors.New("it is still there")
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			victim := newActor(t, "")
			made := enrol(t, victim)
			waiting := challenge(t, victim.User)
			reset(t, victim)
			dead(t, victim.Login, c)
			if e := c.Call(t, verify(t, waiting, code(t, made.Secret, 0))); e.Code == wire.OK {
				t.Error("a challenge of the old second factor is still valid")
			}
			if e := c.Call(t, recovery(t, waiting, made.RecoveryCodes[0])); e.Code == wire.OK {
				t.Error("a recovery code of the old second factor is still valid")
			}
			victim.Login = renewed(t, c.Call(t, right(victim.User)))
			if text := string(storedCredentials(t, victim.User).Data["secondFactor"]); strings.Contains(text,
				made.Secret) || strings.Contains(text, "recoveryCodes") {
				t.Errorf("the old second factor is kept: %.80s", text)
			}
			enrol(t, victim)
		})
	}
}

// TestResetsNeedAFreshCode verifies that an administrator with a second factor needs a one-time code to reset the
// password or the second factor of a user, or to end the sessions of a user. Each code is valid for one request. A
// request without a valid code changes nothing.
func TestResetsNeedAFreshCode(t *testing.T) {
	c := direct(t)
	manager, victim := newActor(t, "admin"), newActor(t, "")
	made := enrol(t, manager)
	requests := management(t, manager.AccessToken, victim.Name)
	for name, r := range requests {
		e := c.Call(t, r).Want(t, wire.TwoFactorRequired)
		if !strings.Contains(string(e.Data), `"reverify":true`) {
			t.Errorf("%s does not name the missing right: %s", name, e.Data)
		}
		c.Call(t, withCode("000000", r)).Want(t, twoFactorFailed)
		c.Call(t, withCode(made.proof, r)).Want(t, twoFactorFailed)
		c.Call(t, withCode(made.RecoveryCodes[0], r)).Want(t, twoFactorFailed)
	}
	c.Call(t, whoami(victim.AccessToken)).Want(t, wire.OK)
	c.Call(t, right(victim.User)).Want(t, wire.OK)
	forget(t, manager.User, "inSessions") // otherwise, the failed attempts would block the session
	fresh := code(t, made.Secret, 0)
	c.Call(t, withCode(fresh, requests["revoke-sessions"])).Want(t, wire.OK)
	dead(t, victim.Login, c)
	c.Call(t, withCode(fresh, requests["reset-password"])).Want(t, twoFactorFailed)
	c.Call(t, right(victim.User)).Want(t, wire.OK)
	c.Call(t, withCode(code(t, made.Secret, 1), requests["reset-password"])).Want(t, wire.OK)
	c.Call(t, right(victim.User)).Want(t, wire.Unauthenticated)
	// The code is not valid for a login, either.
	c.Call(t, verify(t, challenge(t, manager.User), fresh)).Want(t, twoFactorFailed)
}

// forget deletes the given fields of a user's stored second factor. For example, the server accepts a used code again
// after the deletion of the field lastStep.
func forget(t *testing.T, u fixture.User, fields ...string) {
	t.Helper()
	secret, factor := storedCredentials(t, u), map[string]any{}
	if err := json.Unmarshal(secret.Data["secondFactor"], &factor); err != nil {
		t.Fatal("the second factor is not JSON")
	}
	for _, field := range fields {
		if factor[field] == nil {
			t.Fatalf("the second factor has no %s", field)
		}
		delete(factor, field)
	}
	text, err := json.Marshal(factor)
	if err != nil {
		t.Fatal(err)
	}
	secret.Data["secondFactor"] = text
	if err := env.Programs.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

func role(t *testing.T, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	r := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("lesser")}, Rules: rules}
	set().Create(t, r)
	return r.Name
}

func rule(group, resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
}

// TestALesserAdmin verifies that an administrator with fewer rights cannot manage logins, and that a failed request
// makes no change.
func TestALesserAdmin(t *testing.T) {
	const ours, users = "kubevision.io", "kubevisionusers"
	c, victim := direct(t), newActor(t, "admin")
	other := enrol(t, victim)
	for name, tc := range map[string]struct {
		role    string
		allowed map[string]bool // the requests for which the role is sufficient
	}{
		"nobody":      {"", nil},
		"dev":         {"dev", nil},
		"ops":         {"ops", nil},
		"readonly":    {"readonly", nil},
		"reads users": {role(t, rule(ours, users, "get", "list", "watch")), nil},
		"reads users and sessions": {role(t, rule(ours, users, "get", "list"),
			rule(ours, "kubevisionsessions", "get", "list")), nil},
		"patches users, no Secrets": {role(t, rule(ours, users, "get", "list", "patch", "update")),
			map[string]bool{"reset-2fa": true}},
		"writes Secrets, no users":   {role(t, rule(ours, users, "get", "list"), rule("", "secrets", "*")), nil},
		"patches, cannot read users": {role(t, rule(ours, users, "patch", "update"), rule("", "secrets", "*")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			lesser := newActor(t, tc.role)
			before, user := storedCredentials(t, victim.User).ResourceVersion, currentSpec(t, victim)
			for name, r := range management(t, lesser.AccessToken, victim.Name) {
				if tc.allowed[name] {
					continue
				}
				c.Call(t, r).Want(t, wire.Forbidden)
			}
			for name, r := range management(t, lesser.AccessToken, fixture.Name("nobody")) {
				if e := c.Call(t, r); e.Code != wire.Forbidden && e.Code != wire.UserNotFound {
					t.Errorf("%s of nobody: code %d (%s)", name, e.Code, e.Message)
				}
			}
			if after := storedCredentials(t, victim.User).ResourceVersion; after != before {
				t.Error("the credentials have changed")
			}
			if after := currentSpec(t, victim); after != user {
				t.Errorf("the user was %s and is %s", user, after)
			}
			source := &corev1.Secret{}
			err := env.Client.Get(t.Context(),
				client.ObjectKey{Namespace: system, Name: victim.Object.Spec.PasswordSecretRef.Name}, source)
			if apierrors.IsNotFound(err) || string(source.Data["password"]) != victim.Password {
				t.Errorf("the Secret of the password has changed (%v)", err)
			}
			c.Call(t, whoami(victim.AccessToken)).Want(t, wire.OK)
		})
	}
	renewed(t, c.Call(t, verify(t, challenge(t, victim.User), code(t, other.Secret, 0))))
}

func currentSpec(t *testing.T, a actor) string {
	t.Helper()
	stdout, stderr, err := kubectl(t, "", "get", "kvu", a.Name, "-o", "jsonpath={.spec}{.metadata.annotations}")
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return stdout
}
