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
	// DeviceTTL is the lifetime of a device token. Each login and each renewal of a session issues a new token.
	DeviceTTL = 30 * 24 * time.Hour

	deviceVersion     = 1
	deviceIDBytes     = 16
	deviceEpochBytes  = 8
	deviceIssuedBytes = 8
	deviceBytes       = 1 + deviceIDBytes + deviceIssuedBytes + deviceEpochBytes
)

// device is a client from which the user has logged in before.
type device struct {
	id [deviceIDBytes]byte
	// epoch is a hash of the epoch that the user's credentials had when the device token was issued. An epoch is a
	// random value that changes together with the password or the second factor.
	epoch [deviceEpochBytes]byte
}

// hexID returns the ID of the device in hexadecimal notation, or an empty string if d is nil.
func (d *device) hexID() string {
	if d == nil {
		return ""
	}
	return hex.EncodeToString(d.id[:])
}

// matchesEpoch returns true if the device token was issued for credentials with the given epoch. The epoch is a random
// value that changes together with the password or the second factor.
func (d *device) matchesEpoch(epoch string) bool { return d.epoch == epochDigest(epoch) }

// newDeviceID returns the ID of a new device, which is derived from the name of its first session.
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

// Devices issues and verifies device tokens. A device token is not a credential. If a client sends a device token at a
// login, only the failed logins of this device delay the login. Failed logins of other clients do not delay it.
type Devices struct {
	// MAC authenticates device tokens.
	MAC *token.MAC
	// Clock is used to check the expiry of device tokens.
	Clock clock.PassiveClock
}

func (d *Devices) issue(knownDevice *device, session string, user types.UID, epoch string) (string, error) {
	// The ID of a new device depends on the session, so that renewals of the session return tokens of the same device.
	made := device{id: newDeviceID(session), epoch: epochDigest(epoch)}
	if knownDevice != nil {
		made.id = knownDevice.id
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

// find returns the device of a device token that was issued for the user. It returns nil if the token is invalid or has
// expired.
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
