// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package totp generates and verifies time-based one-time passwords (RFC 6238). They have six digits and a period of 30
// seconds, and use SHA-1. All authenticator apps support these parameters.
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

	// period is the duration of a time step, in seconds.
	period = 30
	// drift is the tolerated difference, in time steps, between the clock of the server and the clock of the user's
	// device.
	drift = 1
	// secretBytes is the length of the shared secret in bytes, as RFC 4226 recommends.
	secretBytes = 20
	// codeLength is the number of digits of a code.
	codeLength = 6

	imageSize = 256
)

// Enrolment contains a new shared secret in the forms in which a user can enter it in an authenticator app.
type Enrolment struct {
	// Secret is the shared secret in base32, for manual input.
	Secret string
	// URL is the otpauth URL that contains the secret.
	URL string
	// QRCode is a QR code with the otpauth URL, as a data URI with a PNG image.
	QRCode string
}

// Enrol generates a shared secret. The authenticator app displays the account as the name of the secret.
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

// Check returns the time step for which the code is valid. It returns false if no time step within the tolerance
// matches the code (see drift). Check rejects the time step of the last accepted code (lastStep) and earlier ones.
// Therefore, each code is valid only once (RFC 6238, section 5.2). The duration of Check does not depend on which time
// step matches.
func Check(code, secret string, lastStep int64, now time.Time) (int64, bool) {
	if len(code) != codeLength {
		return 0, false
	}
	current := now.Unix() / period
	step, found := int64(0), false
	for candidate := current - drift; candidate <= current+drift; candidate++ {
		ok, err := hotp.ValidateCustom(code, counter(candidate), secret,
			hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && ok && candidate > lastStep && !found {
			step, found = candidate, true
		}
	}
	return step, found
}

func counter(step int64) uint64 { return uint64(min(max(step, 0), math.MaxInt64)) }
