// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/oklog/ulid/v2"
)

// secretBytes is the length of the secret in a refresh token: 256 bits.
const secretBytes = 32

// refreshToken is what renews a session, once. Its text is "<session>.<secret>".
type refreshToken struct {
	session string
	secret  []byte
}

// newRefreshToken makes a random token for a session.
func newRefreshToken(session string) (refreshToken, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return refreshToken{}, fmt.Errorf("reading randomness for a refresh token: %w", err)
	}
	return refreshToken{session: session, secret: secret}, nil
}

// parseRefreshToken reads a token. What it names has yet to be found out.
func parseRefreshToken(text string) (refreshToken, error) {
	session, encoded, ok := strings.Cut(text, ".")
	if !ok || session != strings.ToLower(session) || len(text) > ulid.EncodedSize+1+base64.RawURLEncoding.EncodedLen(secretBytes) {
		return refreshToken{}, errors.New("not a refresh token")
	}
	if _, err := ulid.ParseStrict(strings.ToUpper(session)); err != nil {
		return refreshToken{}, errors.New("not a refresh token")
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != secretBytes || strings.ContainsAny(encoded, "\r\n") {
		return refreshToken{}, errors.New("not a refresh token")
	}
	return refreshToken{session: session, secret: secret}, nil
}

// String is the token as the client gets it.
func (t refreshToken) String() string {
	return t.session + "." + base64.RawURLEncoding.EncodeToString(t.secret)
}

// hash is how the session knows the token.
func (t refreshToken) hash() string {
	sum := sha256.Sum256([]byte(t.String()))
	return hex.EncodeToString(sum[:])
}

// successor is the token after this one. Whoever has this token and the salt gets the same one, so that of two clients that renew at the
// same time both end up with the token that is valid; the salt alone, which the session shows, leads nowhere.
func (t refreshToken) successor(salt string) refreshToken {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte(t.session + "." + salt))
	return refreshToken{session: t.session, secret: mac.Sum(nil)}
}
