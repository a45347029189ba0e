// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

const month = 30 * 24 * time.Hour

func keysOf(t *testing.T, ages ...time.Duration) (data map[string][]byte, named []string) {
	t.Helper()
	data = map[string][]byte{}
	for _, age := range ages {
		name, value, err := NewKey(start.Add(-age))
		if err != nil {
			t.Fatal(err)
		}
		data[name] = value
		named = append(named, name)
	}
	return data, named
}

func TestRotate(t *testing.T) {
	kept := propagation + retention(month)
	const signs = month - propagation
	for name, tc := range map[string]struct {
		ages    []time.Duration
		period  time.Duration
		gone    []int // the ages of the keys that must be removed
		made    bool
		nextDue time.Duration
	}{
		"no key":    {nil, month, nil, true, month},
		"a new key": {[]time.Duration{0}, month, nil, false, month},
		"a key of a day": {[]time.Duration{24 * time.Hour}, month, nil, false,
			month - 24*time.Hour},
		"a moment before its time": {[]time.Duration{month - time.Millisecond}, month, nil, false,
			time.Millisecond},
		"at its time":                      {[]time.Duration{month}, month, nil, true, month},
		"long after its time":              {[]time.Duration{12 * month}, month, nil, true, month},
		"its successor has just been made": {[]time.Duration{month, 0}, month, nil, false, month},
		"its successor signs":              {[]time.Duration{month, propagation}, month, nil, false, signs},
		"a moment before it can be forgotten": {[]time.Duration{2 * month, kept - time.Millisecond, kept - month},
			month, nil, false, time.Millisecond},
		"it can be forgotten": {[]time.Duration{2 * month, kept, kept - month}, month, []int{0}, false,
			2*month - kept},
		"several can be forgotten": {[]time.Duration{4 * month, 3 * month, 2 * month, 24 * time.Hour}, month,
			[]int{0, 1}, false, month - 24*time.Hour},
		"several after a long rest": {[]time.Duration{4 * month, 3 * month, 2 * month}, month, []int{0, 1},
			true, month},
		"from the future": {[]time.Duration{-time.Hour}, month, nil, false, month + time.Hour},
		"the successor is from the future": {[]time.Duration{2 * month, -time.Hour}, month, nil, false, month +
			time.Hour},
		"a short period": {[]time.Duration{10 * time.Minute}, 10 * time.Minute, nil, true,
			10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			data, named := keysOf(t, tc.ages...)
			before := maps.Clone(data)
			rotated, changed, next, err := Rotate(data, start, tc.period)
			if err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(before, data, bytes.Equal) {
				t.Error("Rotate has changed its argument")
			}
			if want := tc.made || len(tc.gone) > 0; changed != want {
				t.Errorf("changed is %v, want %v", changed, want)
			}
			for i, key := range named {
				if value, ok := rotated[key]; ok == slices.Contains(tc.gone, i) ||
					(ok && !bytes.Equal(value, data[key])) {
					t.Errorf("the key of age %s: still there is %v", tc.ages[i], ok)
				}
			}
			checkMade(t, rotated, data, tc.made)
			if got := next.Sub(start); got != tc.nextDue {
				t.Errorf("the next change is due in %s, want %s", got, tc.nextDue)
			}
		})
	}
}

// checkMade verifies that exactly one key was added if want is true, and none otherwise.
func checkMade(t *testing.T, rotated, data map[string][]byte, want bool) {
	t.Helper()
	keys, err := ParseKeys(rotated)
	if err != nil {
		t.Fatal(err)
	}
	made := slices.DeleteFunc(keys, func(k Key) bool { return data[k.ID+keySuffix] != nil })
	if (len(made) == 1) != want || len(made) > 1 {
		t.Fatalf("%d new keys, wanted is %v", len(made), want)
	}
	if want && !made[0].Created.Equal(start.Truncate(time.Millisecond)) {
		t.Errorf("the new key is of %s", made[0].Created)
	}
}

func TestRotateRejectsMalformedData(t *testing.T) {
	data, named := keysOf(t, 12*month)
	data["other.pem"] = []byte("x")
	if rotated, changed, _, err := Rotate(data, start, month); err == nil || changed || rotated != nil {
		t.Errorf("a foreign key: %v, changed %v", err, changed)
	}
	delete(data, "other.pem")
	data[named[0]] = []byte("not a key")
	if _, changed, _, err := Rotate(data, start, month); err == nil || changed {
		t.Errorf("a broken key: %v, changed %v", err, changed)
	}
}

// TestTokensOutliveRotations verifies that each token is valid until it expires, although the signing keys are rotated.
// A replica that loads new keys late also accepts each token.
func TestTokensOutliveRotations(t *testing.T) {
	const longest = time.Hour // the maximum of --access-token-ttl
	for _, period := range []time.Duration{time.Hour, 24 * time.Hour, month} {
		t.Run(period.String(), func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(start)
			quick, slow := NewKeySet(clock), NewKeySet(clock)
			signer, verifier := NewService(Access, quick, longest, clock), NewService(Access, slow, longest, clock)
			data, _ := keysOf(t)
			most, ids := 0, map[string]bool{}
			var next time.Time
			var old map[string][]byte
			step := period / 16
			for now := start; now.Before(start.Add(12 * period)); now = now.Add(step) {
				clock.SetTime(now)
				old = data
				if !now.Before(next) {
					rotated, changed, due, err := Rotate(data, now, period)
					if err != nil || !due.After(now) {
						t.Fatalf("next is %s after now (%v)", due.Sub(now), err)
					}
					if again, twice, _, err := Rotate(rotated, now, period); twice || err != nil ||
						len(again) != len(rotated) {
						t.Fatalf("to rotate again at once changes something (was changed: %v, %v)", changed, err)
					}
					data, next = rotated, due
				}
				most = max(most, len(data))
				if quick.Load(data) != nil || slow.Load(old) != nil && len(old) > 0 {
					t.Fatal("the keys cannot be loaded")
				}
				raw, err := signer.Sign(Claims{Subject: "alice", UserUID: "uid-1", Session: "session-1"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := verifier.Verify(raw); err != nil && len(old) > 0 {
					t.Errorf("%s: another replica, which has not seen the last rotation: %v", now.Sub(start), err)
				}
				key, _ := quick.Current()
				ids[key.ID] = true
				checkExpiry(t, raw, data, now, longest, period)
			}
			if len(ids) < 10 || most > int((retention(period)+propagation)/period)+3 {
				t.Errorf("%d keys have signed, and there were up to %d at once", len(ids), most)
			}
		})
	}
}

// checkExpiry verifies that a token is valid until it expires, although the keys in data are rotated in the meantime.
func checkExpiry(t *testing.T, token string, data map[string][]byte, now time.Time, ttl, period time.Duration) {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(now)
	keys := NewKeySet(clock)
	for at := now; at.Before(now.Add(ttl)); at = at.Add(ttl / 4) {
		rotated, _, _, err := Rotate(data, at, period)
		if err != nil {
			t.Fatal(err)
		}
		data = rotated
	}
	clock.SetTime(now.Add(ttl - time.Second))
	if err := keys.Load(data); err != nil {
		t.Fatal(err)
	}
	if _, err := NewService(Access, keys, ttl, clock).Verify(token); err != nil {
		t.Errorf("a token ends before its time: %v", err)
	}
}
