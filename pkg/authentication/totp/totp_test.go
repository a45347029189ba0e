// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package totp

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// secret is the key "12345678901234567890" of RFC 6238, appendix B, in base32.
const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func TestVectorsOfTheRFC(t *testing.T) {
	for seconds, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037",
		20000000000: "353130",
	} {
		if step, ok := Check(code, secret, 0, time.Unix(seconds, 0)); !ok || step != seconds/period {
			t.Errorf("at %d: step %d, %v", seconds, step, ok)
		}
	}
}

func TestWindow(t *testing.T) {
	made := time.Unix(1_700_000_010, 0) // the start of a time step
	code, err := totp.GenerateCode(secret, made)
	if err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[time.Duration]bool{
		-61 * time.Second: false, -31 * time.Second: false, -30 * time.Second: true, -time.Second: true, 0: true,
		29 * time.Second: true,
		30 * time.Second: true, 59 * time.Second: true, 60 * time.Second: false, 61 * time.Second: false,
	} {
		if _, ok := Check(code, secret, 0, made.Add(offset)); ok != want {
			t.Errorf("%s after the step began: %v, want %v", offset, ok, want)
		}
	}
}

func TestACodeIsGoodOnce(t *testing.T) {
	now := time.Unix(1_700_000_010, 0)
	code, err := totp.GenerateCode(secret, now)
	if err != nil {
		t.Fatal(err)
	}
	step, ok := Check(code, secret, 0, now)
	if !ok {
		t.Fatal("the code is not good at all")
	}
	if _, ok := Check(code, secret, step, now); ok {
		t.Error("the code is good twice")
	}
	older, err := totp.GenerateCode(secret, now.Add(-period*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Check(older, secret, step, now); ok {
		t.Error("a code before the one that was used is good")
	}
}

func TestWrongCodes(t *testing.T) {
	now := time.Unix(59, 0)
	for _, code := range []string{"", "287083", "28708", "2870820", " 287082", "287082 ", "２８７０８２",
		"abcdef", "-87082"} {
		if _, ok := Check(code, secret, 0, now); ok {
			t.Errorf("%q is good", code)
		}
	}
	if _, ok := Check("287082", "not base32!", 0, now); ok {
		t.Error("a secret that cannot be read accepts a code")
	}
}

func TestEnrol(t *testing.T) {
	for _, account := range []string{"alice", "a:b&c=d", "ünï cödé/?#"} {
		made, err := Enrol(account)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := url.Parse(made.URL)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Scheme != "otpauth" || parsed.Host != "totp" || parsed.Path != "/KubeVision:"+account {
			t.Errorf("the URL of %q is %s", account, made.URL)
		}
		if q := parsed.Query(); q.Get("secret") != made.Secret || q.Get("issuer") != issuer || len(q) != 5 {
			t.Errorf("the query of %q is %v", account, q)
		}
		image, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(made.QRCode, "data:image/png;base64,"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(bytes.NewReader(image)); err != nil {
			t.Errorf("the QR code is no PNG: %v", err)
		}
		code, err := totp.GenerateCode(made.Secret, time.Unix(1_700_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := Check(code, made.Secret, 0, time.Unix(1_700_000_000, 0)); !ok {
			t.Error("a code of the new secret is not good")
		}
	}
}

func FuzzEnrolLabel(f *testing.F) {
	f.Add("alice")
	f.Add("a:b&secret=x")
	f.Fuzz(func(t *testing.T, account string) {
		made, err := Enrol(account)
		if err != nil {
			return
		}
		parsed, err := url.Parse(made.URL)
		if err != nil || parsed.Query().Get("secret") != made.Secret || len(parsed.Query()["secret"]) != 1 {
			t.Errorf("%q gives the URL %s", account, made.URL)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add("287082", secret)
	f.Fuzz(func(t *testing.T, code, secret string) {
		if step, ok := Check(code, secret, 0, time.Unix(59, 0)); ok && (step < 0 || step > 2) {
			t.Errorf("%q is of step %d", code, step)
		}
	})
}
