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

// secretBytes is the length of the random part of a refresh token, in bytes.
const secretBytes = 32

// maxRefreshToken bounds the length of a refresh token, in bytes.
const maxRefreshToken = 128

var errNoRefreshToken = errors.New("not a refresh token")

// refreshToken is a one-time credential that renews a session. Its text is "<session>.<secret>.<mac>". With the MAC,
// the server can reject forged tokens without calling the API server. Tokens of earlier versions have no MAC. The next
// renewal of the session replaces them.
type refreshToken struct {
	session string
	secret  []byte
	// mac is the message authentication code that the client has sent. It is nil for a token of an earlier version.
	mac []byte
}

// newRefreshToken returns a new refresh token for the session.
func newRefreshToken(session string) (refreshToken, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return refreshToken{}, fmt.Errorf("reading randomness for a refresh token: %w", err)
	}
	return refreshToken{session: session, secret: secret}, nil
}

// parseRefreshToken parses a refresh token. It does not check the MAC.
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

// sign returns the text of the token, with a MAC.
func (t refreshToken) sign(mac *token.MAC) (string, error) {
	code, err := mac.Sum([]byte(t.text()))
	if err != nil {
		return "", fmt.Errorf("authenticating a refresh token: %w", err)
	}
	return t.text() + "." + base64.RawURLEncoding.EncodeToString(code), nil
}

// signed returns true if the token has a MAC and the MAC is valid.
func (t refreshToken) signed(mac *token.MAC) bool {
	return t.mac != nil && mac.Verify([]byte(t.text()), t.mac)
}

// text returns the text of the token without the MAC.
func (t refreshToken) text() string {
	return t.session + "." + base64.RawURLEncoding.EncodeToString(t.secret)
}

// hash returns the SHA-256 of the token without the MAC, in hexadecimal. The session object contains this hash instead
// of the token. The hash does not include the MAC, because tokens of earlier versions have no MAC.
func (t refreshToken) hash() string {
	sum := sha256.Sum256([]byte(t.text()))
	return hex.EncodeToString(sum[:])
}

// successor returns the refresh token that replaces t. The result depends only on t and the salt, so that concurrent
// renewals of the session return the same token.
func (t refreshToken) successor(salt string) refreshToken {
	// Readers of the session object know the salt, but only hashes of the tokens. They cannot derive the next token.
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte(t.session + "." + salt))
	return refreshToken{session: t.session, secret: mac.Sum(nil)}
}
