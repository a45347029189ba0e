// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

func (c *ExtraConfig) logins(
	s *state, tokens *authentication.Tokens, hasher *password.Hasher, log *audit.Log,
) *authentication.Logins {
	var now clock.RealClock
	store := &authentication.CredentialsStore{Client: s.client}
	delays := &throttle.Throttle{
		Cache: s.cache, Client: s.client, Clock: now, AddressFree: c.LoginFailuresPerAddress,
		// Places is the number of concurrent attempts. It is one more than the number of concurrent hashes. While one
		// attempt reads or writes objects, another attempt can hash its password.
		MaxCounters: c.LoginFailureCounters, Places: c.PasswordHashes + 1,
		NameSecret: func() ([]byte, error) { return s.keys.Secret("login throttle: unknown names") },
	}
	sessions := &authentication.SessionManager{
		Store: store, Cache: s.cache, Client: s.client, Policy: tokens.Policy, Throttle: delays, Audit: log, Clock: now,
		Tokens: tokens.Service, Setups: token.NewService(token.Setup, s.keys, credentials.ChallengeTTL, now),
		RefreshMAC: token.NewMAC(s.keys, "refresh tokens"), Rates: authentication.NewRefreshLimits(tokens.Gone),
		Devices: &authentication.Devices{MAC: token.NewMAC(s.keys, "device tokens"), Clock: now},
		Index:   s.sessions, Limits: c.SessionLimits,
	}
	passwords := &authentication.Passwords{Store: store, Sessions: sessions, Hasher: hasher, Throttle: delays,
		Audit: log}
	factors := &authentication.SecondFactors{
		Store: store, Sessions: sessions, Passwords: passwords, Policy: tokens.Policy, Audit: log, Clock: now,
		Challenges:   token.NewService(token.Challenge, s.keys, credentials.ChallengeTTL, now),
		LoginCodeTTL: c.LoginCodeTTL,
	}
	return &authentication.Logins{
		Cache: s.cache, Throttle: delays, Store: store, Passwords: passwords, SecondFactors: factors,
		Sessions: sessions, Audit: log,
	}
}
