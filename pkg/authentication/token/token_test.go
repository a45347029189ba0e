// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	clocktesting "k8s.io/utils/clock/testing"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type fixture struct {
	clock   *clocktesting.FakePassiveClock
	keys    *KeySet
	service *Service
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{clock: clocktesting.NewFakePassiveClock(start)}
	f.keys = NewKeySet(f.clock)
	f.service = NewService(Access, f.keys, 15*time.Minute, f.clock)
	f.load(t, start.Add(-time.Hour))
	return f
}

func (f *fixture) load(t *testing.T, created ...time.Time) {
	t.Helper()
	data := map[string][]byte{}
	for _, c := range created {
		name, value, err := NewKey(c)
		if err != nil {
			t.Fatal(err)
		}
		data[name] = value
	}
	if err := f.keys.Load(data); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) sign(t *testing.T) string {
	t.Helper()
	raw, err := f.service.Sign(Claims{Subject: "alice", UserUID: "uid-1", Session: "session-1",
		Methods: []string{"pwd"}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSignAndVerify(t *testing.T) {
	f := newFixture(t)
	claims, err := f.service.Verify(f.sign(t))
	if err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "alice" || claims.UserUID != "uid-1" || claims.Session != "session-1" ||
		!claims.Expires.Equal(start.Add(15*time.Minute)) {
		t.Errorf("claims are %+v", claims)
	}
}

// TestVerifiedAgain verifies that a token in the cache of verified tokens can become invalid. A second verification
// must fail if the token has expired, or if the signing key was removed or replaced.
func TestVerifiedAgain(t *testing.T) {
	verified := func(t *testing.T) (*fixture, string) {
		t.Helper()
		f := newFixture(t)
		raw := f.sign(t)
		for range 2 {
			claims, err := f.service.Verify(raw)
			if err != nil || claims.Subject != "alice" || claims.Methods[0] != "pwd" {
				t.Fatalf("%+v, %v", claims, err)
			}
		}
		return f, raw
	}
	t.Run("old", func(t *testing.T) {
		f, raw := verified(t)
		f.clock.SetTime(start.Add(time.Hour))
		if _, err := f.service.Verify(raw); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unknown key", func(t *testing.T) {
		f, raw := verified(t)
		f.load(t, start.Add(-time.Hour))
		if _, err := f.service.Verify(raw); err == nil {
			t.Error("the token is accepted")
		}
	})
	t.Run("another key of the name", func(t *testing.T) {
		f, raw := verified(t)
		name := f.keys.all()[0].ID
		_, value, err := NewKey(start)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.keys.Load(map[string][]byte{name + keySuffix: value}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.service.Verify(raw); err == nil {
			t.Error("the token is accepted")
		}
	})
	t.Run("another signature", func(t *testing.T) {
		f, raw := verified(t)
		if _, err := f.service.Verify(raw[:len(raw)-8] + "AAAAAAAA"); err == nil {
			t.Error("the token is accepted")
		}
	})
}

func TestOnlyAgeMakesATokenExpired(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t)
	f.clock.SetTime(start.Add(15*time.Minute + leeway))
	if _, err := f.service.Verify(raw); err != nil {
		t.Errorf("at the end of its life: %v", err)
	}
	f.clock.SetTime(start.Add(15*time.Minute + leeway + 2*time.Second))
	if _, err := f.service.Verify(raw); !errors.Is(err, ErrExpired) {
		t.Errorf("after the end of its life: got %v, want ErrExpired", err)
	}
	if _, err := f.service.Verify(raw[:len(raw)-4] + "AAAA"); err == nil || errors.Is(err, ErrExpired) {
		t.Errorf("an old token with a bad signature must be invalid and not expired: %v", err)
	}
	f.clock.SetTime(start.Add(-time.Minute))
	if _, err := f.service.Verify(raw); err == nil || errors.Is(err, ErrExpired) {
		t.Errorf("a token from the future must be invalid: %v", err)
	}
}

func (f *fixture) forge(t *testing.T, key Key, headers map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for k, v := range headers {
		options = options.WithHeader(k, v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Private}, options)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestVerifyRefuses(t *testing.T) {
	f := newFixture(t)
	key, err := f.keys.Current()
	if err != nil {
		t.Fatal(err)
	}
	headers := func(change map[jose.HeaderKey]any) map[jose.HeaderKey]any {
		h := map[jose.HeaderKey]any{"typ": string(Access), "kid": key.ID}
		maps.Copy(h, change)
		return h
	}
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{
			"iss": issuer, "aud": audience, "sub": "alice", "uid": "uid-1", "sid": "session-1",
			"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(time.Minute).Unix(),
		}
		for k, v := range change {
			if v == nil {
				delete(c, k)
			} else {
				c[k] = v
			}
		}
		return c
	}
	if _, err := f.service.Verify(f.forge(t, key, headers(nil), claims(nil))); err != nil {
		t.Fatalf("the template of the cases must be good: %v", err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strange := Key{ID: key.ID, Private: stranger}
	good := f.sign(t)
	cases := map[string]string{
		"refresh token type": f.forge(t, key, headers(map[jose.HeaderKey]any{"typ": "rt+jwt"}), claims(nil)),
		"plain JWT type":     f.forge(t, key, headers(map[jose.HeaderKey]any{"typ": "JWT"}), claims(nil)),
		"no type":            f.forge(t, key, map[jose.HeaderKey]any{"kid": key.ID}, claims(nil)),
		"unknown key id":     f.forge(t, key, headers(map[jose.HeaderKey]any{"kid": "other"}), claims(nil)),
		"no key id":          f.forge(t, key, map[jose.HeaderKey]any{"typ": string(Access)}, claims(nil)),
		"another's key":      f.forge(t, strange, headers(nil), claims(nil)),
		"another's embedded key": f.forge(t, strange,
			headers(map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: stranger.Public()}}), claims(nil)),
		"another's key by URL": f.forge(t, strange,
			headers(map[jose.HeaderKey]any{"jku": "https://example.com/jwks"}), claims(nil)),
		"wrong issuer":   f.forge(t, key, headers(nil), claims(map[string]any{"iss": "https://example.com"})),
		"no issuer":      f.forge(t, key, headers(nil), claims(map[string]any{"iss": nil})),
		"wrong audience": f.forge(t, key, headers(nil), claims(map[string]any{"aud": "another"})),
		"no audience":    f.forge(t, key, headers(nil), claims(map[string]any{"aud": nil})),
		"no expiry":      f.forge(t, key, headers(nil), claims(map[string]any{"exp": nil})),
		"no begin":       f.forge(t, key, headers(nil), claims(map[string]any{"nbf": nil})),
		"no issue time":  f.forge(t, key, headers(nil), claims(map[string]any{"iat": nil})),
		"not yet valid": f.forge(t, key, headers(nil),
			claims(map[string]any{"nbf": start.Add(time.Hour).Unix()})),
		"issued in the future": f.forge(t, key, headers(nil),
			claims(map[string]any{"iat": start.Add(time.Hour).Unix()})),
		"no subject":  f.forge(t, key, headers(nil), claims(map[string]any{"sub": nil})),
		"no user UID": f.forge(t, key, headers(nil), claims(map[string]any{"uid": nil})),
		"no session":  f.forge(t, key, headers(nil), claims(map[string]any{"sid": nil})),
		"no algorithm": unsigned(t, map[string]any{"alg": "none", "typ": string(Access), "kid": key.ID},
			claims(nil)),
		"symmetric algorithm":     symmetric(t, key, claims(nil)),
		"empty":                   "",
		"two segments":            strings.Join(strings.Split(good, ".")[:2], "."),
		"four segments":           good + ".x",
		"padded":                  good + "=",
		"too long":                good + strings.Repeat("A", maxLength),
		"JSON serialization":      `{"payload":"","signatures":[]}`,
		"signature cut":           good[:strings.LastIndex(good, ".")+1],
		"payload changed":         changedPayload(t, good),
		"words":                   "not a token",
		"unsigned, its own words": "eyJhbGciOiJub25lIn0.e30.",
	}
	for name, raw := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := f.service.Verify(raw); err == nil || errors.Is(err, ErrExpired) {
				t.Errorf("got %v, want an error other than ErrExpired", err)
			}
		})
	}
}

func unsigned(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	return segment(t, header) + "." + segment(t, claims) + "."
}

func segment(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// symmetric signs a token with the public key as a symmetric key. A verifier that trusts the algorithm in the header
// would accept the token.
func symmetric(t *testing.T, key Key, claims map[string]any) string {
	t.Helper()
	public, err := key.Private.PublicKey.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(Access)).WithHeader("kid", key.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: public.Bytes()}, options)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func changedPayload(t *testing.T, raw string) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "alice", "admin", 1)))
	return strings.Join(parts, ".")
}

func TestRotationWaitsUntilReplicasKnowTheKey(t *testing.T) {
	f := newFixture(t)
	f.load(t, start.Add(-24*time.Hour), start)
	old, err := f.keys.Current()
	if err != nil {
		t.Fatal(err)
	}
	if !old.Created.Equal(start.Add(-24 * time.Hour)) {
		t.Errorf("a key of this moment signs already")
	}
	raw := f.sign(t)
	f.clock.SetTime(start.Add(propagation))
	fresh, err := f.keys.Current()
	if err != nil {
		t.Fatal(err)
	}
	if !fresh.Created.Equal(start) {
		t.Errorf("the new key does not sign after %s", propagation)
	}
	if _, err := f.service.Verify(raw); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
}

func TestKindsAreNotInterchangeable(t *testing.T) {
	f := newFixture(t)
	challenges := NewService(Challenge, f.keys, time.Minute, f.clock)
	raw, err := challenges.Sign(Claims{Subject: "alice", UserUID: "uid-1", Session: "challenge-1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := challenges.Verify(raw); err != nil {
		t.Fatalf("a challenge token: %v", err)
	}
	if _, err := f.service.Verify(raw); err == nil || errors.Is(err, ErrExpired) {
		t.Errorf("a challenge token as an access token: %v", err)
	}
	if _, err := challenges.Verify(f.sign(t)); err == nil || errors.Is(err, ErrExpired) {
		t.Errorf("an access token as a challenge token: %v", err)
	}
}

func TestKeySet(t *testing.T) {
	c := clocktesting.NewFakePassiveClock(start)
	s := NewKeySet(c)
	if _, err := s.Current(); !errors.Is(err, ErrNoKeys) {
		t.Errorf("an empty set: got %v, want ErrNoKeys", err)
	}
	name, value, err := NewKey(start)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(map[string][]byte{name: value}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Current(); err != nil {
		t.Errorf("the only key must sign at once: %v", err)
	}
	for what, data := range map[string]map[string][]byte{
		"bad name":   {"key": value},
		"bad value":  {name: []byte("secret")},
		"trailer":    {name: append(append([]byte{}, value...), value...)},
		"one of two": {name: value, "01ARZ3NDEKTSV4RRFFQ69G5FAV.pem": []byte("x")},
	} {
		err := s.Load(data)
		if err == nil {
			t.Errorf("%s: accepted", what)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error holds the value: %v", what, err)
		}
		if _, err := s.Current(); err != nil {
			t.Errorf("%s: the keys in force are gone", what)
		}
	}
}

func FuzzVerify(f *testing.F) {
	clock := clocktesting.NewFakePassiveClock(start)
	keys := NewKeySet(clock)
	name, value, err := NewKey(start.Add(-time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	if err := keys.Load(map[string][]byte{name: value}); err != nil {
		f.Fatal(err)
	}
	s := NewService(Access, keys, time.Minute, clock)
	good, err := s.Sign(Claims{Subject: "alice", UserUID: "u", Session: "s"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, raw string) {
		if claims, err := s.Verify(raw); err == nil && claims.Subject != "alice" {
			t.Errorf("%q makes somebody %q", raw, claims.Subject)
		}
	})
}
