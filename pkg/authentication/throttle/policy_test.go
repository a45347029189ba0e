// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestWaitsOfAnAccount verifies the delay after each failure of a client that retries as soon as possible.
func TestWaitsOfAnAccount(t *testing.T) {
	now, counter := start, Counter{}
	want := []time.Duration{
		0, 0, 0, 0, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute,
		15 * time.Minute, 15 * time.Minute,
	}
	for i, pause := range want {
		counter = accountPolicy().Add(counter, now)
		if got := accountPolicy().Wait(counter, now); got != pause {
			t.Errorf("after failure %d the next must wait %s, want %s", i+1, got, pause)
		}
		if pause > 0 {
			if got := accountPolicy().Wait(counter, now.Add(pause-1)); got != 1 {
				t.Errorf("failure %d, a moment before the end: %s", i+1, got)
			}
			if got := accountPolicy().BlockedUntil(counter, now); !got.Equal(now.Add(pause)) {
				t.Errorf("failure %d blocks until %s, want %s", i+1, got, now.Add(pause))
			}
		}
		now = now.Add(pause)
		if got := accountPolicy().Wait(counter, now); got != 0 {
			t.Errorf("failure %d, after the pause: %s", i+1, got)
		}
		if got := accountPolicy().BlockedUntil(counter, now); !got.IsZero() {
			t.Errorf("failure %d, after the pause: blocked until %s", i+1, got)
		}
	}
}

func TestFailuresAreForgiven(t *testing.T) {
	hourly, never := Policy{Free: 5, Forgive: time.Hour}, Policy{Free: 10}
	for name, tc := range map[string]struct {
		policy   Policy
		failures int
		after    time.Duration
		want     int
	}{
		"at once":                   {hourly, 7, 0, 7},
		"almost an hour":            {hourly, 7, time.Hour - 1, 7},
		"an hour":                   {hourly, 7, time.Hour, 6},
		"two and a half":            {hourly, 7, 150 * time.Minute, 5},
		"all of them":               {hourly, 7, 7 * time.Hour, 0},
		"long ago":                  {hourly, 7, 100 * 365 * 24 * time.Hour, 0},
		"before it was":             {hourly, 7, -time.Hour, 7},
		"nothing to forgive":        {hourly, 0, time.Hour, 0},
		"never":                     {never, 7, 1000 * time.Hour, 7},
		"as many as can be counted": {hourly, math.MaxInt32, time.Hour, math.MaxInt32 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.policy.At(Counter{Failures: tc.failures, Last: start}, start.Add(tc.after))
			if got.Failures != tc.want || !got.Last.Equal(start) {
				t.Errorf("%d failures (last %s) are left, want %d", got.Failures, got.Last, tc.want)
			}
			next := tc.policy.Add(Counter{Failures: tc.failures, Last: start}, start.Add(tc.after))
			if next.Failures != tc.want+1 || !next.Last.Equal(start.Add(tc.after)) {
				t.Errorf("with one more there are %d, want %d", next.Failures, tc.want+1)
			}
		})
	}
}

// TestPatienceDoesNotPay verifies that a patient attacker can guess only a limited number of passwords per day. After
// each failed login, the attacker waits until the server allows another login.
func TestPatienceDoesNotPay(t *testing.T) {
	guesses := func(p Policy, extra time.Duration) int {
		counter, n := Counter{}, 0
		for now := start; now.Before(start.Add(24 * time.Hour)); n++ {
			counter = p.Add(counter, now)
			now = now.Add(p.Wait(counter, now) + extra)
		}
		return n
	}
	if n := guesses(accountPolicy(), 0); n > 5+5+24*4 {
		t.Errorf("%d guesses at an account in a day", n)
	}
	if n := guesses(accountPolicy(), time.Hour); n > 24 {
		t.Errorf("one every hour: %d guesses at an account in a day", n)
	}
	if n := guesses(addressPolicy(30, 1), 0); n > 30+5+24*60 {
		t.Errorf("%d guesses from an address in a day", n)
	}
}

// TestForgiven verifies the time after which a throttle may be deleted. At this time, the throttle does not delay
// logins, and its failures no longer count.
func TestForgiven(t *testing.T) {
	object := func(target kubevisionv1alpha1.ThrottleTarget, failures int32,
		until *metav1.Time) *kubevisionv1alpha1.KubeVisionLoginThrottle {
		return &kubevisionv1alpha1.KubeVisionLoginThrottle{Spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{
			Target: target, Failures: failures, LastFailureTime: metav1.NewMicroTime(start), BlockedUntil: until,
		}}
	}
	late := metav1.NewTime(start.Add(1000 * time.Hour))
	for name, tc := range map[string]struct {
		throttle *kubevisionv1alpha1.KubeVisionLoginThrottle
		want     time.Duration
	}{
		"account":          {object(kubevisionv1alpha1.ThrottleUser, 3, nil), 3 * time.Hour},
		"unknown name":     {object(kubevisionv1alpha1.ThrottleUnknownName, 3, nil), 3 * time.Hour},
		"session":          {object(kubevisionv1alpha1.ThrottleSession, 3, nil), 3 * time.Hour},
		"address":          {object(kubevisionv1alpha1.ThrottleAddress, 3, nil), 3 * time.Minute},
		"still blocked":    {object(kubevisionv1alpha1.ThrottleAddress, 3, &late), 1000 * time.Hour},
		"a year's failure": {object(kubevisionv1alpha1.ThrottleUser, 96*365, nil), 96 * 365 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ForgivenAt(tc.throttle).Sub(start); got != tc.want {
				t.Errorf("forgiven after %s, want %s", got, tc.want)
			}
		})
	}
}

// TestAddresses verifies the networks for which the failed logins from an address are counted. A failure from an
// IPv6 address counts for the /64, the /56 and the /48 network of the address, because one customer may own any of the
// three. The limit of a /56 is 4 times the limit of a /64. The limit of a /48 is 16 times the limit of a /64.
func TestAddresses(t *testing.T) {
	for address, want := range map[string][]string{
		"203.0.113.7":        {"203.0.113.7 203.0.113.7"},
		"::ffff:203.0.113.7": {"203.0.113.7 203.0.113.7"},
		"2001:db8:1:2::1": {"2001-0db8-0001-0002 2001:db8:1:2::/64",
			"2001-0db8-0001-0000-56 2001:db8:1::/56", "2001-0db8-0001-0000-48 2001:db8:1::/48"},
		"2001:db8:1:2:ffff:ff:f:abc": {"2001-0db8-0001-0002 2001:db8:1:2::/64",
			"2001-0db8-0001-0000-56 2001:db8:1::/56", "2001-0db8-0001-0000-48 2001:db8:1::/48"},
		"2001:db8:1:af03::1": {"2001-0db8-0001-af03 2001:db8:1:af03::/64",
			"2001-0db8-0001-af00-56 2001:db8:1:af00::/56", "2001-0db8-0001-0000-48 2001:db8:1::/48"},
		"fe80::1%eth0": {"fe80-0000-0000-0000 fe80::/64", "fe80-0000-0000-0000-56 fe80::/56",
			"fe80-0000-0000-0000-48 fe80::/48"},
		"::1": {"0000-0000-0000-0000 ::/64", "0000-0000-0000-0000-56 ::/56",
			"0000-0000-0000-0000-48 ::/48"},
	} {
		clients := 1
		keys := addressKeys(netip.MustParseAddr(address), 30)
		if len(keys) != len(want) {
			t.Fatalf("%s is counted as %v", address, keys)
		}
		for i, k := range keys {
			if got := strings.TrimPrefix(k.name, "address-") + " " + k.spec.Address; got != want[i] ||
				k.spec.Target != kubevisionv1alpha1.ThrottleAddress {
				t.Errorf("%s is counted as %s, want %s", address, got, want[i])
			}
			if problems := utilvalidation.IsDNS1123Subdomain(k.name); len(problems) > 0 {
				t.Errorf("%s: no object can have the name %s: %v", address, k.name, problems)
			}
			if k.policy != addressPolicy(30, clients) || assumedClients(k.spec.Address) != clients {
				t.Errorf("%s counts for %d clients, with %+v", k.spec.Address, assumedClients(k.spec.Address), k.policy)
			}
			clients *= 4
		}
	}
	if keys := addressKeys(netip.Addr{}, 30); len(keys) != 0 {
		t.Errorf("no address is counted as %v", keys)
	}
}

// TestUnknownNamesAreNotKept verifies that an unknown name is not stored, because it may be a password in the wrong
// field.
func TestUnknownNamesAreNotKept(t *testing.T) {
	for _, typed := range []string{"", "hunter2hunter2", "../../x", strings.Repeat("a", 5000), "user-admin", "\x00",
		"ADMIN", "日本"} {
		k := nameKey(typed, []byte("secret"))
		o := k.object(Counter{Failures: 5, Last: start}, start)
		if problems := utilvalidation.IsDNS1123Subdomain(o.Name); len(problems) > 0 {
			t.Errorf("%.20q: no object can have the name %s: %v", typed, o.Name, problems)
		}
		if len(o.Name) != len("unknown-")+2*nameHashBytes || o.Name == nameKey(typed, []byte("another secret")).name ||
			o.Spec.UserName != "" || o.Labels["kubevision.io/user"] != "" {
			t.Errorf("%.20q is kept in %+v", typed, o)
		}
		if o.Spec.BlockedUntil == nil || !o.Spec.BlockedUntil.Time.Equal(start.Add(firstWait)) {
			t.Errorf("%.20q is blocked until %v", typed, o.Spec.BlockedUntil)
		}
	}
	user := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: "unknown-000000", UID: "u"}}
	if name := userKey(user).name; !strings.HasPrefix(name, "user-") {
		t.Errorf("a user is counted as %s, which is the name of a stranger's counter", name)
	}
}
