// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

const session = "01m81wqq0dz75tt26gwxvksa6d"

func newMACs(t *testing.T) (keys *token.KeySet, one, other *token.MAC) {
	t.Helper()
	keys = token.NewKeySet(clock.RealClock{})
	name, value, err := token.NewKey(time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Load(map[string][]byte{name: value}); err != nil {
		t.Fatal(err)
	}
	return keys, token.NewMAC(keys, "one"), token.NewMAC(keys, "other")
}

func signed(t *testing.T, made refreshToken) string {
	t.Helper()
	_, mac, _ := newMACs(t)
	text, err := made.sign(mac)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSignedRefreshTokens verifies that forged refresh tokens are detected, even after a rotation of the key.
func TestSignedRefreshTokens(t *testing.T) {
	keys, mac, other := newMACs(t)
	made, err := newRefreshToken(session)
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.sign(mac)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, text string, want bool) {
		t.Helper()
		if parsed, err := parseRefreshToken(text); err != nil || parsed.signed(mac) != want {
			t.Errorf("%s: signed is not %v (%v)", name, want, err)
		}
	}
	stranger, err := newRefreshToken(session)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := made.sign(other)
	if err != nil {
		t.Fatal(err)
	}
	code := text[strings.LastIndex(text, "."):]
	check("a token", text, true)
	check("of an earlier version", made.text(), false)
	check("another secret", stranger.text()+code, false)
	check("another purpose", foreign, false)
	check("another session", "01m81wqq0dz75tt26gwxvksa6e"+strings.TrimPrefix(text, session), false)

	data := map[string][]byte{}
	current, err := keys.Current()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(current.Private)
	if err != nil {
		t.Fatal(err)
	}
	data[current.ID+".pem"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	name, value, err := token.NewKey(time.Now().Add(-2 * time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	data[name] = value
	if err := keys.Load(data); err != nil {
		t.Fatal(err)
	}
	check("after a rotation", text, true)
	delete(data, current.ID+".pem")
	if err := keys.Load(data); err != nil {
		t.Fatal(err)
	}
	check("without its key", text, false)
}

func TestRefreshToken(t *testing.T) {
	made, err := newRefreshToken(session)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"with a code": signed(t, made), "of an earlier version": made.text()} {
		parsed, err := parseRefreshToken(text)
		if err != nil || parsed.session != session || parsed.hash() != made.hash() {
			t.Fatalf("own token %s is read as %+v, %v", name, parsed, err)
		}
	}
	other, err := newRefreshToken(session)
	if err != nil || other.hash() == made.hash() {
		t.Errorf("two tokens of one session are the same (%v)", err)
	}
}

func TestSuccessor(t *testing.T) {
	made, err := newRefreshToken(session)
	if err != nil {
		t.Fatal(err)
	}
	next := made.successor("salt")
	if again := made.successor("salt"); again.hash() != next.hash() {
		t.Error("two clients with one token must get one successor")
	}
	for name, other := range map[string]refreshToken{
		"the token itself":  made,
		"with another salt": made.successor("other"),
		"of another token":  {session: session, secret: next.secret[:secretBytes]},
		"of another session": refreshToken{session: "01m81wqq0dz75tt26gwxvksa6e",
			secret: made.secret}.successor("salt"),
	} {
		if name == "of another token" {
			other = other.successor("salt")
		}
		if other.hash() == next.hash() {
			t.Errorf("the successor is the same as %s", name)
		}
	}
	if parsed, err := parseRefreshToken(next.text()); err != nil || parsed.hash() != next.hash() {
		t.Errorf("a successor cannot be read: %v", err)
	}
}

func TestParseRefreshTokenRefuses(t *testing.T) {
	made, err := newRefreshToken(session)
	if err != nil {
		t.Fatal(err)
	}
	good := made.text()
	_, secret, _ := strings.Cut(good, ".")
	code := signed(t, made)[len(good):]
	for name, text := range map[string]string{
		"empty":              "",
		"no session":         "." + secret,
		"no secret":          session + ".",
		"no dot":             session + secret,
		"session of another": "alice." + secret,
		"path":               "../" + session[3:] + "." + secret,
		"upper case":         strings.ToUpper(session) + "." + secret,
		"padded":             good + "=",
		"short":              good[:len(good)-1],
		"long":               good + "A",
		"line feed":          good[:len(good)-1] + "\n",
		"empty code":         good + ".",
		"short code":         good + code[:len(code)-1],
		"two codes":          good + code + code,
		"access token":       "eyJhbGciOiJFUzI1NiJ9.e30.x",
	} {
		if _, err := parseRefreshToken(text); err == nil {
			t.Errorf("%s: %q was accepted", name, text)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds the token", name)
		}
	}
}

func FuzzParseRefreshToken(f *testing.F) {
	f.Add(session + ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseRefreshToken(text)
		if err == nil && parsed.text() != strings.Join(strings.Split(text, ".")[:2], ".") {
			t.Errorf("%q is read as %q", text, parsed.text())
		}
	})
}
