// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"strings"
	"testing"
)

const session = "01m81wqq0dz75tt26gwxvksa6d"

func TestRefreshToken(t *testing.T) {
	made, err := newRefreshToken(session)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseRefreshToken(made.String())
	if err != nil || parsed.session != session || parsed.hash() != made.hash() {
		t.Fatalf("own token is read as %+v, %v", parsed, err)
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
		"the token itself":   made,
		"with another salt":  made.successor("other"),
		"of another token":   {session: session, secret: next.secret[:secretBytes]},
		"of another session": refreshToken{session: "01m81wqq0dz75tt26gwxvksa6e", secret: made.secret}.successor("salt"),
	} {
		if name == "of another token" {
			other = other.successor("salt")
		}
		if other.hash() == next.hash() {
			t.Errorf("the successor is the same as %s", name)
		}
	}
	if parsed, err := parseRefreshToken(next.String()); err != nil || parsed.hash() != next.hash() {
		t.Errorf("a successor cannot be read: %v", err)
	}
}

func TestParseRefreshTokenRefuses(t *testing.T) {
	made, err := newRefreshToken(session)
	if err != nil {
		t.Fatal(err)
	}
	good := made.String()
	_, secret, _ := strings.Cut(good, ".")
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
		if err == nil && parsed.String() != text {
			t.Errorf("%q is read as %q", text, parsed.String())
		}
	})
}
