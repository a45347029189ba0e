// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"crypto/ecdsa"
	"crypto/sha256"

	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/utils/lru"
)

// maxVerified bounds the number of cached tokens. Each of them uses less than a kilobyte.
const maxVerified = 4096

// signed is the content of a token whose signature was verified: the claims, the key and the key ID. Verify caches this
// content, so that it verifies the signature of each token only once. For a cached token, Verify still checks that the
// key is accepted and that the token has not expired.
type signed struct {
	keyID    string
	key      *ecdsa.PrivateKey
	standard jwt.Claims
	private  privateClaims
}

// verifiedTokens caches tokens with valid signatures by their SHA-256, because the verification of a signature takes
// longer than the rest of a request.
type verifiedTokens struct {
	tokens *lru.Cache
}

func newVerifiedTokens() verifiedTokens { return verifiedTokens{tokens: lru.New(maxVerified)} }

func (v verifiedTokens) get(raw string) (*signed, bool) {
	found, _ := v.tokens.Get(sha256.Sum256([]byte(raw)))
	content, ok := found.(*signed)
	return content, ok
}

func (v verifiedTokens) add(raw string, content *signed) {
	v.tokens.Add(sha256.Sum256([]byte(raw)), content)
}
