// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// reissue returns a ticket with changed fields and a valid MAC.
func (p person) reissue(tb testing.TB, ticket string, changes map[string]any) string {
	tb.Helper()
	body, _, _ := strings.Cut(ticket, ".")
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		tb.Fatal(err)
	}
	maps.Copy(all, changes)
	if text, err = json.Marshal(all); err != nil {
		tb.Fatal(err)
	}
	raw, err := set().SigningKey(tb, fixture.Take(tb, p.AccessToken).Header["kid"]).Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := hkdf.Key(sha256.New, raw, nil, "tickets of streams", sha256.Size)
	if err != nil {
		tb.Fatal(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(text)
	encode := base64.RawURLEncoding.EncodeToString
	return encode(text) + "." + encode(mac.Sum(nil)[:16])
}

// TestExpiredTicket verifies that a ticket does not open a stream if it has expired, or if it names the session of
// another user.
func TestExpiredTicket(t *testing.T) {
	p, q := newPerson(t, "late"), newPerson(t, "other")
	ticket := p.ticket(t, "")
	open(t, p.client, withTicket(p, p.reissue(t, ticket, map[string]any{"i": "01"}))).isAlive(t) // the MAC is valid
	for name, changes := range map[string]map[string]any{
		"expired":         {"x": time.Now().Add(-6 * time.Second).Unix()},
		"long ago":        {"x": 0},
		"another session": {"s": sessionOf(t, q)},
		"no session":      {"s": "none"},
		"another user":    {"u": q.User.Name},
	} {
		e := refused(t, p.client, withTicket(p, p.reissue(t, ticket, changes)))
		if e.Code != wire.Unauthenticated && e.Code != wire.TokenExpired {
			t.Errorf("%s: code %d", name, e.Code)
		}
	}
}
