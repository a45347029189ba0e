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

	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

// secretBytes is the length of the secret in a refresh token: 256 bits.
const secretBytes = 32

// maxRefreshToken bounds the length of a token that is parsed, in bytes.
const maxRefreshToken = 128

var errNoRefreshToken = errors.New("not a refresh token")

// refreshToken renews a session once. Its text is "<session>.<secret>.<mac>". The MAC lets the server reject a forged
// token without a call. Tokens of earlier versions, "<session>.<secret>", stay valid until their session ends, seven
// days after its last renewal. A renewal replaces them by tokens with a MAC.
type refreshToken struct {
	session string
	secret  []byte
	// mac is nil in a token of an earlier version.
	mac []byte
}

// newRefreshToken returns a random token for a session.
func newRefreshToken(session string) (refreshToken, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return refreshToken{}, fmt.Errorf("reading randomness for a refresh token: %w", err)
	}
	return refreshToken{session: session, secret: secret}, nil
}

// parseRefreshToken parses a token. It does not verify it.
func parseRefreshToken(text string) (refreshToken, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxRefreshToken || len(parts) < 2 || len(parts) > 3 || parts[0] != strings.ToLower(parts[0]) {
		return refreshToken{}, errNoRefreshToken
	}
	if _, err := ulid.ParseStrict(strings.ToUpper(parts[0])); err != nil {
		return refreshToken{}, errNoRefreshToken
	}
	t := refreshToken{session: parts[0]}
	var err error
	if t.secret, err = decode(parts[1], secretBytes); err != nil {
		return refreshToken{}, err
	}
	if len(parts) == 3 {
		if t.mac, err = decode(parts[2], token.MACLength); err != nil {
			return refreshToken{}, err
		}
	}
	return t, nil
}

func decode(text string, length int) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != length || strings.ContainsAny(text, "\r\n") {
		return nil, errNoRefreshToken
	}
	return raw, nil
}

// sign returns the text of the token with a MAC.
func (t refreshToken) sign(mac *token.MAC) (string, error) {
	code, err := mac.Sum([]byte(t.text()))
	if err != nil {
		return "", fmt.Errorf("authenticating a refresh token: %w", err)
	}
	return t.text() + "." + base64.RawURLEncoding.EncodeToString(code), nil
}

// signed returns true if the token has a valid MAC.
func (t refreshToken) signed(mac *token.MAC) bool {
	return t.mac != nil && mac.Verify([]byte(t.text()), t.mac)
}

// text returns the token without a MAC.
func (t refreshToken) text() string {
	return t.session + "." + base64.RawURLEncoding.EncodeToString(t.secret)
}

// hash returns the hash that the session stores. It does not depend on the MAC key.
func (t refreshToken) hash() string {
	sum := sha256.Sum256([]byte(t.text()))
	return hex.EncodeToString(sum[:])
}

// successor derives the next token from this token and the salt, so that two clients that renew at the same time get
// the same token. The salt is visible in the session object. It does not reveal the successor without this token.
func (t refreshToken) successor(salt string) refreshToken {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte(t.session + "." + salt))
	return refreshToken{session: t.session, secret: mac.Sum(nil)}
}
