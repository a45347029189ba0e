// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/auth"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/registry/users"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

const (
	post = http.MethodPost
	put  = http.MethodPut

	accessTokenTTL = 15 * time.Minute
	hashesAtOnce   = 2
	// manyFailures is a limit for failed logins that the tests never reach. The failed logins of all tests count
	// together, because all tests use the same IP address.
	manyFailures = 10000
)

var shared controlplane.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

type fields map[string]any

// server serves the endpoints of the packages auth and users. It reads objects from kube-apiserver instead of a cache,
// so that no test waits for a watch.
type server struct {
	*controlplane.Endpoints
	fixture.Set

	tokens *authentication.Tokens
}

func newServer(t *testing.T) *server {
	t.Helper()
	c := shared.Controllers(t)
	keys := token.NewKeySet(clock.RealClock{})
	fixture.Eventually(t, "wait for the signing keys", func(ctx context.Context) error {
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: names.Namespace, Name: names.SigningKeysSecret}
		if err := c.Get(ctx, key, secret); err != nil {
			return fmt.Errorf("reading the signing keys: %w", err)
		}
		return keys.Load(secret.Data)
	})
	hasher, err := password.NewHasher(t.Context(), hashesAtOnce, nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := &authentication.Tokens{
		Service: token.NewService(token.Access, keys, accessTokenTTL, clock.RealClock{}),
		Cache:   c, Live: c, Gone: authentication.NewDeletedObjects(), Clock: clock.RealClock{},
		Policy: &authentication.TwoFactorPolicy{Reader: c},
	}
	log := &audit.Log{Recorder: &events.FakeRecorder{}}
	logins := newLogins(c, keys, tokens, hasher, log)
	return &server{Set: fixture.Set{Client: c, Programs: c}, tokens: tokens, Endpoints: controlplane.NewEndpoints(t,
		&auth.Provider{Logins: logins, Passwords: logins.Passwords, Sessions: logins.Sessions,
			SecondFactors: logins.SecondFactors, Reader: c, Client: origin},
		&users.Provider{Reader: c, Live: c, Host: &hostobjects.Host{}, Audit: log, Client: origin},
	)}
}

func newLogins(
	c client.Client, keys *token.KeySet, tokens *authentication.Tokens, hasher *password.Hasher, log *audit.Log,
) *authentication.Logins {
	var now clock.RealClock
	store := &authentication.CredentialsStore{Client: c}
	delays := &throttle.Throttle{
		Cache: c, Client: c, Clock: now, AddressFree: manyFailures, MaxCounters: manyFailures, Places: hashesAtOnce,
		NameSecret: func() ([]byte, error) { return keys.Secret("unknown names") },
	}
	sessions := &authentication.SessionManager{
		Store: store, Cache: c, Client: c, Policy: tokens.Policy, Throttle: delays, Audit: log, Clock: now,
		Tokens: tokens.Service, Setups: token.NewService(token.Setup, keys, credentials.ChallengeTTL, now),
		RefreshMAC: token.NewMAC(keys, "refresh tokens"), Rates: authentication.NewRefreshLimits(tokens.Gone),
		Devices: &authentication.Devices{MAC: token.NewMAC(keys, "device tokens"), Clock: now},
		Index:   &sessionindex.Index{},
		Limits:  sessionindex.Limits{PerUser: sessionindex.DefaultPerUser, Total: sessionindex.DefaultTotal},
	}
	passwords := &authentication.Passwords{Store: store, Sessions: sessions, Hasher: hasher, Throttle: delays,
		Audit: log}
	return &authentication.Logins{
		Cache: c, Throttle: delays, Store: store, Passwords: passwords, Sessions: sessions, Audit: log,
		SecondFactors: &authentication.SecondFactors{
			Store: store, Sessions: sessions, Passwords: passwords, Policy: tokens.Policy, Audit: log, Clock: now,
			Challenges: token.NewService(token.Challenge, keys, credentials.ChallengeTTL, now),
		},
	}
}

func origin(r *http.Request) authentication.Client {
	return authentication.Client{Address: netip.MustParseAddr("192.0.2.1"), UserAgent: r.UserAgent()}
}

// public sends a POST request without a credential.
func (s *server) public(t *testing.T, path string, body any) wire.Envelope {
	t.Helper()
	return s.Call(t, nil, post, path, body)
}

type visitor struct {
	*server

	user  fixture.User
	login fixture.Login
}

// visit creates a user, and logs in as this user. At the end of the test, it verifies that no log contains the password
// of the user.
func (s *server) visit(t *testing.T, change ...func(*kubevisionv1alpha1.KubeVisionUser)) *visitor {
	t.Helper()
	v := &visitor{server: s, user: s.User(t, "visitor", change...)}
	shared.Guard(t, v.user.Password)
	s.public(t, "/auth/login", v.credential()).Want(t, wire.OK).Into(t, &v.login)
	return v
}

func (v *visitor) credential() fields {
	return fields{"username": v.user.Name, "password": v.user.Password}
}

func (v *visitor) principal(t *testing.T) *authentication.Principal {
	t.Helper()
	p, err := v.tokens.Authenticate(t.Context(), v.login.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// own sends a request in the session of the user.
func (v *visitor) own(t *testing.T, method, path string, body any) wire.Envelope {
	t.Helper()
	return v.Call(t, v.principal(t), method, path, body)
}

// enrol enables TOTP as the second factor of the user. It sends the previous one-time code, so that the test can still
// use the current code.
func (v *visitor) enrol(t *testing.T) enrolment {
	t.Helper()
	var made enrolment
	v.own(t, post, "/auth/2fa/setup", nil).Want(t, wire.OK).Into(t, &made)
	v.own(t, post, "/auth/2fa/enable", fields{"code": fixture.Code(t, made.Secret, -1)}).Want(t, wire.OK)
	return made
}

type enrolment struct {
	Secret        string   `json:"secret"`
	OTPAuthURL    string   `json:"otpauthUrl"`
	RecoveryCodes []string `json:"recoveryCodes"`
}

// challenge sends the password of a user with a second factor, and returns the token for the next step of the login.
func (v *visitor) challenge(t *testing.T) string {
	t.Helper()
	var due struct {
		Requires2FA  bool   `json:"requires2fa"`
		SessionToken string `json:"sessionToken"`
	}
	v.public(t, "/auth/login", v.credential()).Want(t, wire.TwoFactorRequired).Into(t, &due)
	if !due.Requires2FA || due.SessionToken == "" {
		t.Fatalf("the challenge is %+v", due)
	}
	return due.SessionToken
}

func kubernetesUser() user.Info {
	return &user.DefaultInfo{Name: "kubernetes-admin", Groups: []string{user.AllAuthenticated}}
}
