// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package token signs and verifies JWTs (RFC 7519) with ES256. Access tokens, challenge tokens and set-up tokens have
// different typ headers. Therefore, a token of one kind is not accepted as a token of another kind.
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
	// issuer is the value of the claim iss in all tokens.
	issuer = "kubevision.io"
	// audience is the value of the claim aud in all tokens.
	audience = "dashboard.kubevision.io"

	// leeway is the tolerated difference between the clocks of two replicas.
	leeway = 5 * time.Second

	// maxLength bounds the length of a token, in bytes. Genuine tokens have about 600 bytes.
	maxLength = 4096
)

// Kind is the purpose of a token. It is the value of the typ header (RFC 8725, section 3.11).
type Kind string

const (
	// Access is the kind of access tokens (RFC 9068), which authenticate the requests of a session.
	Access Kind = "at+jwt"
	// Challenge is the kind of tokens that a client gets after a correct password. The client sends the token back with
	// a code of the second factor.
	Challenge Kind = "2fa+jwt"
	// Setup is the kind of tokens for logins of users who must set up a second factor before any other request.
	Setup Kind = "2fa-setup+jwt"
)

// ErrExpired is returned by Verify for a token that has a valid signature but has expired. All other errors of Verify
// mean that the token is invalid.
var ErrExpired = errors.New("token has expired")

// ErrNoKeys is returned if no signing key was loaded yet.
var ErrNoKeys = errors.New("no signing key is known yet")

var errUnknownKey = errors.New("token is signed with an unknown key")

// Claims contains the claims of a token.
type Claims struct {
	// Subject is the name of the KubeVisionUser.
	Subject string
	// UserUID is the UID of the KubeVisionUser.
	UserUID string
	// Session is the name of the KubeVisionSession or, in a challenge token, the ID of the challenge.
	Session string
	// Methods are the authentication methods of the login (amr, RFC 8176).
	Methods []string
	// AuthTime is the time of the login (auth_time, OpenID Connect Core 1.0, section 2). It is zero if the token does
	// not contain this claim.
	AuthTime time.Time
	// Expires is the expiry of the token.
	Expires time.Time
}

type privateClaims struct {
	UserUID string   `json:"uid"`
	Session string   `json:"sid"`
	Methods []string `json:"amr"`
	// AuthTime is the time of the login (auth_time, OpenID Connect Core 1.0, section 2). It is nil if the token does
	// not contain this claim.
	AuthTime *jwt.NumericDate `json:"auth_time,omitempty"`
}

// Service signs and verifies tokens of one kind. The keys may change at any time.
type Service struct {
	kind  Kind
	keys  Keys
	ttl   time.Duration
	clock clock.PassiveClock
	// verified caches tokens with valid signatures.
	verified verifiedTokens
}

// Keys provides signing keys. KeySet implements it.
type Keys interface {
	// Current returns the key for new signatures, or ErrNoKeys.
	Current() (Key, error)
	// Find returns the key with the ID. It returns false if signatures of this key must not be accepted.
	Find(id string) (Key, bool)
}

// NewService returns a Service for tokens with the kind and the lifetime ttl.
func NewService(kind Kind, keys Keys, ttl time.Duration, c clock.PassiveClock) *Service {
	return &Service{kind: kind, keys: keys, ttl: ttl, clock: c, verified: newVerifiedTokens()}
}

// TTL returns the lifetime of a token.
func (s *Service) TTL() time.Duration { return s.ttl }

// Sign returns a signed token with the claims. The token expires after the TTL of the service; c.Expires is ignored.
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

// Verify verifies a token and returns its claims. It returns an error for tokens of a kind other than s.kind, and for
// algorithms other than ES256. It finds the key by the key ID in the header of the token (see Keys.Find).
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

// parse verifies the signature and the kind of a token. It does not check the expiry.
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

// validate returns an error if a required claim is missing, or if the issuer, the audience or one of the times is
// invalid. It returns ErrExpired for an expired token only if the issuer, the audience and nbf are valid.
func (s *Service) validate(standard jwt.Claims, private privateClaims) error {
	// The JWT library ignores missing claims.
	if standard.Expiry == nil || standard.NotBefore == nil || standard.IssuedAt == nil {
		return errors.New("token lacks exp, nbf or iat")
	}
	if standard.Subject == "" || private.UserUID == "" || private.Session == "" {
		return errors.New("token lacks sub, uid or sid")
	}
	expected := jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}, Time: s.clock.Now()}
	// The library checks the expiry after the issuer, the audience and nbf.
	err := standard.ValidateWithLeeway(expected, leeway)
	if errors.Is(err, jwt.ErrExpired) {
		return ErrExpired
	}
	if err != nil {
		return fmt.Errorf("validating the claims: %w", err)
	}
	return nil
}
