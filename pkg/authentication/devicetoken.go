// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

const (
	// DeviceTTL is the time for which a device is known after a login or a renewal.
	DeviceTTL = 30 * 24 * time.Hour

	deviceVersion     = 1
	deviceIDBytes     = 16
	deviceEpochBytes  = 8
	deviceIssuedBytes = 8
	deviceBytes       = 1 + deviceIDBytes + deviceIssuedBytes + deviceEpochBytes
)

// device is a client that has logged in to an account before.
type device struct {
	id    [deviceIDBytes]byte
	epoch [deviceEpochBytes]byte
}

// name returns the device id as text, or an empty string for nil.
func (d *device) name() string {
	if d == nil {
		return ""
	}
	return hex.EncodeToString(d.id[:])
}

// matchesEpoch returns true if the device has logged in with the credentials of an epoch.
func (d *device) matchesEpoch(epoch string) bool { return d.epoch == epochDigest(epoch) }

// newDeviceID returns the id of the device that begins a session. Session names are unique.
func newDeviceID(session string) (id [deviceIDBytes]byte) {
	sum := sha256.Sum256([]byte("device of session " + session))
	copy(id[:], sum[:])
	return id
}

func epochDigest(epoch string) (digest [deviceEpochBytes]byte) {
	sum := sha256.Sum256([]byte(epoch))
	copy(digest[:], sum[:])
	return digest
}

// Devices recognizes devices from which a user has logged in before. A device token is not a credential. A login with a
// device token is delayed only by failures of that device.
type Devices struct {
	// MAC authenticates the tokens.
	MAC *token.MAC
	// Clock determines when tokens expire.
	Clock clock.PassiveClock
}

// issue returns the token of a device. Without a known device, it derives the device id from the session, so that the
// holder of a session counts as one device, independent of the number of renewals.
func (d *Devices) issue(known *device, session string, user types.UID, epoch string) (string, error) {
	made := device{id: newDeviceID(session), epoch: epochDigest(epoch)}
	if known != nil {
		made.id = known.id
	}
	raw := make([]byte, 0, deviceBytes+token.MACLength)
	raw = append(raw, deviceVersion)
	raw = append(raw, made.id[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(d.Clock.Now().Unix())) //nolint:gosec // after 1970
	raw = append(raw, made.epoch[:]...)
	mac, err := d.MAC.Sum(append(bytes.Clone(raw), user...))
	if err != nil {
		return "", fmt.Errorf("authenticating a device token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, mac...)), nil
}

// find returns the device of a token that was issued to a user, or nil if the token is invalid or expired.
func (d *Devices) find(text string, user types.UID) *device {
	if len(text) != base64.RawURLEncoding.EncodedLen(deviceBytes+token.MACLength) {
		return nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != deviceBytes+token.MACLength || raw[0] != deviceVersion {
		return nil
	}
	value, mac := raw[:deviceBytes], raw[deviceBytes:]
	if !d.MAC.Verify(append(bytes.Clone(value), user...), mac) {
		return nil
	}
	found := &device{}
	rest := value[1:]
	rest = rest[copy(found.id[:], rest):]
	issued := time.Unix(int64(binary.BigEndian.Uint64(rest)), 0) //nolint:gosec // the token is genuine
	copy(found.epoch[:], rest[deviceIssuedBytes:])
	if d.Clock.Since(issued) > DeviceTTL {
		return nil
	}
	return found
}
