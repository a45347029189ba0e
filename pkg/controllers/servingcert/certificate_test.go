// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"bytes"
	"testing"
	"time"
)

func TestCertificate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	hosts := []string{"kubevision-apiserver.kubevision-system.svc", "localhost", "127.0.0.1"}
	made, err := issue(hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	left, err := remainingUse(made.cert, made.key, made.ca, hosts, now)
	if err != nil || left != lifetime-renewBefore {
		t.Errorf("a new certificate: %s left, %v", left, err)
	}
	other, err := issue(hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		cert, key, ca []byte
		hosts         []string
		now           time.Time
	}{
		"nothing":         {nil, nil, nil, hosts, now},
		"another's key":   {made.cert, other.key, made.ca, hosts, now},
		"another's CA":    {made.cert, made.key, other.ca, hosts, now},
		"no CA":           {made.cert, made.key, nil, hosts, now},
		"another host":    {made.cert, made.key, made.ca, append([]string{"example.com"}, hosts...), now},
		"another address": {made.cert, made.key, made.ca, []string{"127.0.0.2"}, now},
		"about to expire": {made.cert, made.key, made.ca, hosts, now.Add(lifetime - renewBefore)},
		"expired":         {made.cert, made.key, made.ca, hosts, now.Add(lifetime + time.Second)},
		"of the future":   {made.cert, made.key, made.ca, hosts, now.Add(-2 * backdate)},
	} {
		if _, err := remainingUse(tc.cert, tc.key, tc.ca, tc.hosts, tc.now); err == nil {
			t.Errorf("%s: usable", name)
		}
	}
}

func TestTrustOverlaps(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	hosts := []string{"localhost"}
	first, err := issue(hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	second, err := issue(hosts, now.Add(lifetime-renewBefore))
	if err != nil {
		t.Fatal(err)
	}
	both := mergeBundles(second.ca, mergeBundles(first.ca, nil, now), now.Add(lifetime-renewBefore))
	for name, b := range map[string]bundle{"old": first, "new": second} {
		if _, err := remainingUse(b.cert, b.key, both, hosts, now.Add(lifetime-renewBefore-time.Minute)); err != nil {
			t.Errorf("while both are served, the %s certificate: %v", name, err)
		}
	}
	const half = renewBefore / 2
	fresh, err := issue(hosts, now.Add(half))
	if err != nil {
		t.Fatal(err)
	}
	many := mergeBundles(fresh.ca, mergeBundles(first.ca, mergeBundles(second.ca, both, now), now), now)
	if n := bytes.Count(many, []byte("BEGIN CERTIFICATE")); n != 1+maxPreviousCAs {
		t.Errorf("%d CAs are trusted", n)
	}
	third, err := issue(hosts, now.Add(2*lifetime))
	if err != nil {
		t.Fatal(err)
	}
	if got := mergeBundles(third.ca, both, now.Add(2*lifetime)); bytes.Count(got, []byte("BEGIN CERTIFICATE")) != 1 {
		t.Errorf("CAs that have expired are still trusted:\n%s", got)
	}
}
