// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package totp makes and checks time-based one-time codes (RFC 6238): six digits, 30 seconds, SHA-1, which is what every authenticator
// app understands.
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

	// period is the length of a step in seconds.
	period = 30
	// drift is how many steps the clocks of the server and of the user's device may be apart.
	drift = 1
	// secretBytes is the length of the shared secret: 160 bits, as RFC 4226 recommends.
	secretBytes = 20
	// codeLength is the number of digits.
	codeLength = 6

	imageSize = 256
)

// Enrolment is what a user needs to set up an authenticator.
type Enrolment struct {
	// Secret in base32, for typing.
	Secret string
	// URL is the otpauth URL.
	URL string
	// QRCode is the URL as an image: a PNG as a data URI.
	QRCode string
}

// Enrol makes a new secret for an account.
func Enrol(account string) (Enrolment, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: account, Period: period, SecretSize: secretBytes})
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

// Check finds the step that a code belongs to: the current one or a neighbour, and later than the last one that was accepted, since a code
// is good once (RFC 6238, section 5.2). It is false for any other code. Every candidate is compared, whatever the first ones say.
func Check(code, secret string, last int64, now time.Time) (int64, bool) {
	if len(code) != codeLength {
		return 0, false
	}
	current := now.Unix() / period
	step, found := int64(0), false
	for candidate := current - drift; candidate <= current+drift; candidate++ {
		ok, err := hotp.ValidateCustom(code, counter(candidate), secret, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && ok && candidate > last && !found {
			step, found = candidate, true
		}
	}
	return step, found
}

func counter(step int64) uint64 { return uint64(min(max(step, 0), math.MaxInt64)) }
