// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package token makes and checks access tokens: JWTs (RFC 7519) signed with ES256, whose type keeps them apart from every other kind of
// token.
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
	// accessType is the typ header of an access token (RFC 9068).
	accessType = "at+jwt"
	// issuer and audience of every token: the API server itself.
	issuer   = "kubevision.io"
	audience = "dashboard.kubevision.io"

	// leeway allows for clocks of replicas that differ.
	leeway = 5 * time.Second

	// maxLength bounds what is parsed at all. Genuine tokens have about 600 bytes.
	maxLength = 4096
)

// ErrExpired is a genuine token that is too old; every other error of Verify means that it is not genuine.
var ErrExpired = errors.New("token has expired")

// ErrNoKeys means that no signing key is known yet.
var ErrNoKeys = errors.New("no signing key is known yet")

// Claims are what an access token says.
type Claims struct {
	// Subject is the name of the KubeVisionUser.
	Subject string
	// UserUID is the UID of the KubeVisionUser.
	UserUID string
	// Session is the name of the KubeVisionSession.
	Session string
	// Methods are how the user authenticated (amr, RFC 8176).
	Methods []string
	// Expires is when the token ends.
	Expires time.Time
}

type privateClaims struct {
	UserUID string   `json:"uid"`
	Session string   `json:"sid"`
	Methods []string `json:"amr"`
}

// Service signs and verifies access tokens with keys that may change while it runs.
type Service struct {
	keys  Keys
	ttl   time.Duration
	clock clock.PassiveClock
}

// Keys hands out the signing keys.
type Keys interface {
	// Current is the key that signs new tokens, or ErrNoKeys.
	Current() (Key, error)
	// Find is the key of that id.
	Find(id string) (Key, bool)
}

// NewService makes a service whose tokens live for ttl.
func NewService(keys Keys, ttl time.Duration, c clock.PassiveClock) *Service {
	return &Service{keys: keys, ttl: ttl, clock: c}
}

// TTL is the lifetime of an access token.
func (s *Service) TTL() time.Duration { return s.ttl }

// Sign makes an access token. Claims.Expires is set by the service.
func (s *Service) Sign(c Claims) (string, error) {
	key, err := s.keys.Current()
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType(accessType).WithHeader("kid", key.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Private}, options)
	if err != nil {
		return "", fmt.Errorf("making a signer: %w", err)
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
	raw, err := jwt.Signed(signer).Claims(standard).Claims(privateClaims{UserUID: c.UserUID, Session: c.Session, Methods: c.Methods}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return raw, nil
}

// Verify reads an access token. The key is found by its id among ours and by nothing else that the header says; the algorithm is fixed.
func (s *Service) Verify(raw string) (Claims, error) {
	if len(raw) > maxLength {
		return Claims{}, errors.New("token is too long")
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return Claims{}, fmt.Errorf("parsing the token: %w", err)
	}
	if len(parsed.Headers) != 1 {
		return Claims{}, errors.New("token must have one signature")
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != accessType {
		return Claims{}, errors.New("not an access token")
	}
	key, ok := s.keys.Find(header.KeyID)
	if !ok {
		return Claims{}, errors.New("token is signed with an unknown key")
	}
	var standard jwt.Claims
	var private privateClaims
	if err := parsed.Claims(key.Private.Public(), &standard, &private); err != nil {
		return Claims{}, fmt.Errorf("verifying the signature: %w", err)
	}
	if err := s.validate(standard, private); err != nil {
		return Claims{}, err
	}
	return Claims{
		Subject: standard.Subject, UserUID: private.UserUID, Session: private.Session, Methods: private.Methods, Expires: standard.Expiry.Time(),
	}, nil
}

// validate demands every claim: the library skips those that are absent. Age is looked at last, so that only a token that is
// otherwise in order is called expired.
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
