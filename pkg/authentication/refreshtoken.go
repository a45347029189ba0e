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

// maxRefreshToken bounds what is parsed at all.
const maxRefreshToken = 128

var errNoRefreshToken = errors.New("not a refresh token")

// refreshToken is what renews a session, once. Its text is "<session>.<secret>.<mac>". The code lets a server refuse an invented token
// without asking anybody. Tokens of earlier versions have none, "<session>.<secret>"; they are valid until their session ends, seven days after it
// was last renewed, and each is followed by one with a code.
type refreshToken struct {
	session string
	secret  []byte
	// mac is nil in a token of an earlier version.
	mac []byte
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

// sign returns the token as the client gets it.
func (t refreshToken) sign(mac *token.MAC) (string, error) {
	code, err := mac.Sum([]byte(t.text()))
	if err != nil {
		return "", fmt.Errorf("authenticating a refresh token: %w", err)
	}
	return t.text() + "." + base64.RawURLEncoding.EncodeToString(code), nil
}

// signed says whether the token has a code of ours.
func (t refreshToken) signed(mac *token.MAC) bool {
	return t.mac != nil && mac.Verify([]byte(t.text()), t.mac)
}

// text is the token without its code.
func (t refreshToken) text() string {
	return t.session + "." + base64.RawURLEncoding.EncodeToString(t.secret)
}

// hash is how the session knows the token, whichever key its code was made with.
func (t refreshToken) hash() string {
	sum := sha256.Sum256([]byte(t.text()))
	return hex.EncodeToString(sum[:])
}

// successor is the token after this one. Whoever has this token and the salt gets the same one, so that of two clients that renew at the
// same time both end up with the token that is valid; the salt alone, which the session shows, leads nowhere.
func (t refreshToken) successor(salt string) refreshToken {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte(t.session + "." + salt))
	return refreshToken{session: t.session, secret: mac.Sum(nil)}
}
