// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"encoding/base64"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// TestDeviceTokens verifies that a device token is valid for one user and for a limited time, and that it distinguishes
// its device from other devices.
func TestDeviceTokens(t *testing.T) {
	_, mac, other := newMACs(t)
	now := clocktesting.NewFakePassiveClock(time.Now())
	devices := &Devices{MAC: mac, Clock: now}
	text, err := devices.issue(nil, "session-1", "uid-1", "epoch")
	if err != nil {
		t.Fatal(err)
	}
	known := devices.find(text, "uid-1")
	if known == nil || !known.matchesEpoch("epoch") || known.matchesEpoch("") || known.matchesEpoch("another") ||
		len(known.hexID()) != 2*deviceIDBytes {
		t.Fatalf("the token of a device is read as %+v", known)
	}
	again, err := devices.issue(known, "session-2", "uid-1", "another")
	if err != nil {
		t.Fatal(err)
	}
	if next := devices.find(again, "uid-1"); next.hexID() != known.hexID() || !next.matchesEpoch("another") {
		t.Errorf("the next token is that of another device: %+v", next)
	}
	fresh, err := devices.issue(nil, "session-2", "uid-1", "epoch")
	if err != nil || devices.find(fresh, "uid-1").hexID() == known.hexID() {
		t.Errorf("two devices have one name (%v)", err)
	}
	renewed, err := devices.issue(nil, "session-1", "uid-1", "epoch")
	if err != nil || devices.find(renewed, "uid-1").hexID() != known.hexID() {
		t.Errorf("a renewal without a token is another device (%v)", err)
	}
	changed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	changed[1] ^= 1
	for name, found := range map[string]*device{
		"of another user":    devices.find(text, "uid-2"),
		"of nobody":          devices.find(text, ""),
		"of another purpose": (&Devices{MAC: other, Clock: now}).find(text, "uid-1"),
		"changed":            devices.find(base64.RawURLEncoding.EncodeToString(changed), "uid-1"),
		"shortened":          devices.find(text[1:], "uid-1"),
		"empty":              devices.find("", ""),
	} {
		if found != nil || found.hexID() != "" {
			t.Errorf("a token %s is accepted", name)
		}
	}
	now.SetTime(now.Now().Add(DeviceTTL + time.Second))
	if devices.find(text, "uid-1") != nil {
		t.Error("the token does not end")
	}
}
