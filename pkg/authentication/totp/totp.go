// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package totp generates and verifies time-based one-time passwords (RFC 6238) with six digits, 30 seconds and SHA-1,
// which every authenticator app supports.
package totp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/png"
	"math"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	issuer = "KubeVision"

	// period is the length of a time step in seconds.
	period = 30
	// drift is the tolerated difference between the clocks of the server and of the user's device, in steps.
	drift = 1
	// secretBytes is the length of the shared secret: 160 bits (RFC 4226).
	secretBytes = 20
	// codeLength is the number of digits.
	codeLength = 6

	imageSize = 256
)

// Enrolment is the data with which a user sets up an authenticator.
type Enrolment struct {
	// Secret is the secret in base32, for manual input.
	Secret string
	// URL is the otpauth URL.
	URL string
	// QRCode is the QR code of the URL: a PNG in a data URI.
	QRCode string
}

// Enrol generates a secret for an account.
func Enrol(account string) (Enrolment, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: account, Period: period,
		SecretSize: secretBytes})
	if err != nil {
		return Enrolment{}, fmt.Errorf("generating a secret: %w", err)
	}
	image, err := key.Image(imageSize, imageSize)
	if err != nil {
		return Enrolment{}, fmt.Errorf("drawing the QR code: %w", err)
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, image); err != nil {
		return Enrolment{}, fmt.Errorf("encoding the QR code: %w", err)
	}
	return Enrolment{
		Secret: key.Secret(), URL: key.URL(),
		QRCode: "data:image/png;base64," + base64.StdEncoding.EncodeToString(encoded.Bytes()),
	}, nil
}

// Check returns the time step of a code: the current step or a neighbour, and later than the last accepted step,
// because a code is valid once (RFC 6238, section 5.2). It returns false for any other code. It compares all
// candidates, so that its duration reveals nothing.
func Check(code, secret string, last int64, now time.Time) (int64, bool) {
	if len(code) != codeLength {
		return 0, false
	}
	current := now.Unix() / period
	step, found := int64(0), false
	for candidate := current - drift; candidate <= current+drift; candidate++ {
		ok, err := hotp.ValidateCustom(code, counter(candidate), secret,
			hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && ok && candidate > last && !found {
			step, found = candidate, true
		}
	}
	return step, found
}

func counter(step int64) uint64 { return uint64(min(max(step, 0), math.MaxInt64)) }
