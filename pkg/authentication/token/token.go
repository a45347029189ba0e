// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package token creates and verifies tokens: JWTs (RFC 7519) signed with ES256. The header typ distinguishes the kinds
// of tokens.
package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/utils/clock"
)

const (
	// issuer and audience are the same for every token: the API server itself.
	issuer   = "kubevision.io"
	audience = "dashboard.kubevision.io"

	// leeway allows for differences between the clocks of replicas.
	leeway = 5 * time.Second

	// maxLength bounds the length of a token that is parsed, in bytes. Genuine tokens have about 600 bytes.
	maxLength = 4096
)

// Kind is the kind of a token, and its typ header (RFC 8725, section 3.11).
type Kind string

const (
	// Access tokens are the credential of a session (RFC 9068).
	Access Kind = "at+jwt"
	// Challenge tokens prove that the password was correct, for a login that waits for the second factor.
	Challenge Kind = "2fa+jwt"
	// Setup tokens prove that the password was correct, for a login that waits for the set-up of a second factor.
	Setup Kind = "2fa-setup+jwt"
)

// ErrExpired is returned for a genuine token that has expired. Any other error of Verify means that the token is not
// genuine.
var ErrExpired = errors.New("token has expired")

// ErrNoKeys is returned before any signing key is loaded.
var ErrNoKeys = errors.New("no signing key is known yet")

var errUnknownKey = errors.New("token is signed with an unknown key")

// Claims is the content of a token.
type Claims struct {
	// Subject is the name of the KubeVisionUser.
	Subject string
	// UserUID is the UID of the KubeVisionUser.
	UserUID string
	// Session is the name of the KubeVisionSession, or the id of the challenge.
	Session string
	// Methods are the authentication methods (amr, RFC 8176).
	Methods []string
	// AuthTime is the time of the login (auth_time, OpenID Connect Core 1.0, section 2). It is zero if the token does
	// not contain it.
	AuthTime time.Time
	// Expires is the end of the token's validity.
	Expires time.Time
}

type privateClaims struct {
	UserUID string   `json:"uid"`
	Session string   `json:"sid"`
	Methods []string `json:"amr"`
	// AuthTime is a pointer so that it can be absent.
	AuthTime *jwt.NumericDate `json:"auth_time,omitempty"`
}

// Service signs and verifies one kind of tokens, with keys that may change while it runs.
type Service struct {
	kind  Kind
	keys  Keys
	ttl   time.Duration
	clock clock.PassiveClock
	// verified are tokens whose signatures were verified before.
	verified verifiedTokens
}

// Keys finds signing keys.
type Keys interface {
	// Current returns the key that signs new tokens, or ErrNoKeys.
	Current() (Key, error)
	// Find returns the key with an id.
	Find(id string) (Key, bool)
}

// NewService returns a service whose tokens live for ttl.
func NewService(kind Kind, keys Keys, ttl time.Duration, c clock.PassiveClock) *Service {
	return &Service{kind: kind, keys: keys, ttl: ttl, clock: c, verified: newVerifiedTokens()}
}

// TTL returns the lifetime of a token.
func (s *Service) TTL() time.Duration { return s.ttl }

// Sign returns a signed token with the claims. The service sets Claims.Expires.
func (s *Service) Sign(c Claims) (string, error) {
	key, err := s.keys.Current()
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(s.kind)).WithHeader("kid", key.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Private}, options)
	if err != nil {
		return "", fmt.Errorf("creating a signer: %w", err)
	}
	now := s.clock.Now()
	standard := jwt.Claims{
		Issuer:    issuer,
		Audience:  jwt.Audience{audience},
		Subject:   c.Subject,
		IssuedAt:  jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now),
		Expiry:    jwt.NewNumericDate(now.Add(s.ttl)),
	}
	private := privateClaims{UserUID: c.UserUID, Session: c.Session, Methods: c.Methods}
	if !c.AuthTime.IsZero() {
		private.AuthTime = jwt.NewNumericDate(c.AuthTime)
	}
	raw, err := jwt.Signed(signer).Claims(standard).Claims(private).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return raw, nil
}

// Verify verifies a token of the service's kind. It reads only the key id from the header to find one of the
// installation's own keys. The algorithm is fixed.
func (s *Service) Verify(raw string) (Claims, error) {
	if len(raw) > maxLength {
		return Claims{}, errors.New("token is too long")
	}
	content, known := s.verified.get(raw)
	if !known {
		var err error
		if content, err = s.parse(raw); err != nil {
			return Claims{}, err
		}
	} else if key, ok := s.keys.Find(content.keyID); !ok || key.Private != content.key &&
		!key.Private.Equal(content.key) {
		return Claims{}, errUnknownKey
	}
	standard, private := content.standard, content.private
	if err := s.validate(standard, private); err != nil {
		return Claims{}, err
	}
	if !known {
		s.verified.add(raw, content)
	}
	claims := Claims{
		Subject: standard.Subject, UserUID: private.UserUID, Session: private.Session, Methods: private.Methods,
		Expires: standard.Expiry.Time(),
	}
	if private.AuthTime != nil {
		claims.AuthTime = private.AuthTime.Time()
	}
	return claims, nil
}

// parse decodes a token. It returns an error if the token has another kind than the service or its signature is not
// valid.
func (s *Service) parse(raw string) (*signed, error) {
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, fmt.Errorf("parsing the token: %w", err)
	}
	if len(parsed.Headers) != 1 {
		return nil, errors.New("token must have one signature")
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != string(s.kind) {
		return nil, errors.New("the token is of another kind")
	}
	key, ok := s.keys.Find(header.KeyID)
	if !ok {
		return nil, errUnknownKey
	}
	content := &signed{keyID: key.ID, key: key.Private}
	if err := parsed.Claims(key.Private.Public(), &content.standard, &content.private); err != nil {
		return nil, fmt.Errorf("verifying the signature: %w", err)
	}
	return content, nil
}

// validate requires every claim, because the library ignores absent claims. It checks the expiry last, so that
// ErrExpired is returned only for an otherwise valid token.
func (s *Service) validate(standard jwt.Claims, private privateClaims) error {
	if standard.Expiry == nil || standard.NotBefore == nil || standard.IssuedAt == nil {
		return errors.New("token lacks exp, nbf or iat")
	}
	if standard.Subject == "" || private.UserUID == "" || private.Session == "" {
		return errors.New("token lacks sub, uid or sid")
	}
	expected := jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}, Time: s.clock.Now()}
	err := standard.ValidateWithLeeway(expected, leeway)
	if errors.Is(err, jwt.ErrExpired) {
		return ErrExpired
	}
	if err != nil {
		return fmt.Errorf("validating the claims: %w", err)
	}
	return nil
}
