// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// quickHasher returns a Hasher whose new hashes have the minimum cost, for tests that do not depend on the cost.
func quickHasher(t *testing.T) *Hasher {
	t.Helper()
	h, err := newHasher(t.Context(), 1, Parameters{Memory: 8, Time: 1, Threads: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashAndVerify(t *testing.T) {
	h, err := NewHasher(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(hash.String())
	if err != nil {
		t.Fatalf("own hash cannot be read: %v", err)
	}
	if err := h.Verify(t.Context(), "correct horse", parsed); err != nil {
		t.Errorf("right password: %v", err)
	}
	for _, wrong := range []string{"", "correct horse ", "Correct horse", strings.Repeat("x", MaxLength+1)} {
		if err := h.Verify(t.Context(), wrong, parsed); !errors.Is(err, ErrMismatch) {
			t.Errorf("wrong password %.20q: got %v, want ErrMismatch", wrong, err)
		}
	}
	if err := h.VerifyDummy(t.Context(), "correct horse"); !errors.Is(err, ErrMismatch) {
		t.Errorf("nobody's password: got %v, want ErrMismatch", err)
	}
}

// TestFormsOfOnePassword verifies that a password matches if another keyboard encodes the same characters differently.
// Examples are composed and decomposed characters. Passwords with other differences do not match.
func TestFormsOfOnePassword(t *testing.T) {
	h := quickHasher(t)
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"caf\u00e9 au lait", "cafe\u0301 au lait", true},
		{"\u1100\u1161 \u110b\u1167", "\uac00 \uc5ec", true},
		{"no-break\u00a0space", "no-break space", true},
		{"Case Matters", "case matters", false},
		{"width \uff41", "width a", false},
		{"line feed\n", "line feed", false},
		{"cafe\u0301\n", "caf\u00e9\n", false}, // the profile rejects the control character
		{"\xff", "\ufffd", false},
	} {
		hash, err := h.Hash(t.Context(), tc.a)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Verify(t.Context(), tc.a, hash); err != nil {
			t.Errorf("%q itself: %v", tc.a, err)
		}
		if err := h.Verify(t.Context(), tc.b, hash); errors.Is(err, ErrMismatch) == tc.same {
			t.Errorf("%q and %q: %v", tc.a, tc.b, err)
		}
	}
}

// TestPlaceholder verifies that Parse accepts the result of Placeholder, a hash that no password matches. It also
// verifies that this hash does not need a rehash.
func TestPlaceholder(t *testing.T) {
	hash, err := Parse(Placeholder().String())
	if err != nil || hash.NeedsRehash() {
		t.Errorf("the placeholder %s: %v", hash, err)
	}
}

func TestHashesOfOnePasswordDiffer(t *testing.T) {
	h := quickHasher(t)
	a, errA := h.Hash(t.Context(), "same")
	b, errB := h.Hash(t.Context(), "same")
	if errA != nil || errB != nil || a.String() == b.String() {
		t.Errorf("two hashes of one password must differ by their salts (errors %v, %v)", errA, errB)
	}
}

// TestVerifyHashOfTheReferenceImplementation verifies that Verify accepts the correct password for a hash from the
// tests of the reference implementation of argon2.
func TestVerifyHashOfTheReferenceImplementation(t *testing.T) {
	const encoded = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	hash, err := Parse(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if err := quickHasher(t).Verify(t.Context(), "password", hash); err != nil {
		t.Errorf("the reference implementation's own hash: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if _, err := Parse(good); err != nil {
		t.Fatalf("the template of the cases must be good: %v", err)
	}
	for name, change := range map[string][2]string{
		"argon2i":            {"argon2id", "argon2i"},
		"argon2d":            {"argon2id", "argon2d"},
		"old version":        {"v=19", "v=16"},
		"ruinous memory":     {"m=19456", "m=4194304"},
		"much memory":        {"m=19456", "m=65537"},
		"much work":          {"m=19456,t=2", "m=65536,t=5"},
		"slow and large":     {"m=19456,t=2", "m=262144,t=16"},
		"ruinous passes":     {"t=2", "t=1000"},
		"no passes":          {"t=2", "t=0"},
		"ruinous threads":    {"p=1", "p=255"},
		"negative":           {"t=2", "t=-2"},
		"leading zero":       {"t=2", "t=02"},
		"other order":        {"m=19456,t=2", "t=2,m=19456"},
		"further parameter":  {"p=1", "p=1,data=x"},
		"padded salt":        {"c29tZXNhbHQ", "c29tZXNhbHQ="},
		"short salt":         {"c29tZXNhbHQ", "c28"},
		"no key":             {"$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$"},
		"further segment":    {"GRPPc", "GRPPc$"},
		"leading text":       {"$argon2id", "x$argon2id"},
		"trailing line feed": {"GRPPc", "GRPPc\n"},
	} {
		t.Run(name, func(t *testing.T) {
			value := strings.Replace(good, change[0], change[1], 1)
			if value == good {
				t.Fatal("the case changes nothing")
			}
			if _, err := Parse(value); err == nil {
				t.Errorf("%s was accepted", value)
			}
		})
	}
}

func TestHashingWaitsForItsTurn(t *testing.T) {
	h := quickHasher(t)
	if !h.slots.TryAcquire(h.size) {
		t.Fatal("a place is taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with every place taken: got %v, want the deadline", err)
	}
	for range maxWaiting {
		h.waiting <- struct{}{}
	}
	if _, err := h.Hash(t.Context(), "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("with every place to wait taken: got %v, want ErrBusy", err)
	}
	h.slots.Release(h.size)
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Errorf("with a place free: %v", err)
	}
}

// TestMemoryOfHashes verifies that a password hash that needs more memory takes more slots of the semaphore that limits
// concurrent hashes. No hash takes more slots than the semaphore has.
func TestMemoryOfHashes(t *testing.T) {
	cost := Parameters{Memory: 64, Time: 1, Threads: 1}
	h, err := newHasher(t.Context(), 4, cost, nil)
	if err != nil {
		t.Fatal(err)
	}
	for memory, want := range map[uint32]int64{8: 1, 64: 1, 65: 2, 256: 4, 64 * 1024: 4} {
		hash := Hash{params: Parameters{Memory: memory, Time: 1, Threads: 1}, salt: make([]byte, saltLength),
			key: make([]byte, keyLength)}
		for others := range h.size + 1 {
			if !h.slots.TryAcquire(others) {
				t.Fatal("a hash has not released its slots")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			err := h.enter(ctx, h.slotsFor(hash.params))
			cancel()
			if fits := others+want <= h.size; fits != (err == nil) {
				t.Errorf("%d KiB beside %d slots: %v", memory, others, err)
			}
			if err == nil {
				h.slots.Release(want)
			}
			h.slots.Release(others)
		}
		if err := h.Verify(t.Context(), "wrong", hash); !errors.Is(err, ErrMismatch) {
			t.Errorf("%d KiB: %v", memory, err)
		}
		if !h.slots.TryAcquire(h.size) {
			t.Errorf("%d KiB: a hash has not released its slots", memory)
		}
		h.slots.Release(h.size)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, value string) {
		hash, err := Parse(value)
		if err != nil {
			return
		}
		if hash.String() != value {
			t.Errorf("%q is read as %q", value, hash.String())
		}
		if p := hash.params; p.Memory > maxMemory || p.Time > maxTime || p.Threads > maxThreads || p.Time == 0 ||
			p.Threads == 0 || p.Memory*p.Time > maxWork {
			t.Errorf("%q asks for %+v", value, p)
		}
	})
}
