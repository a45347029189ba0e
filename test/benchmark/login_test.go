// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"fmt"
	"testing"

	"golang.org/x/crypto/argon2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// enoughLogins is the minimum number of logins for a median.
const enoughLogins = 30

// BenchmarkLogin compares the duration of a valid login to the duration of an argon2id hash of the password. A login
// cannot be faster than the hash, because the server computes the same hash. The logins are sequential. The metric
// ns/op is the median duration of a login.
func BenchmarkLogin(b *testing.B) {
	u := set().User(b, "login")
	u.Login(b, direct(b), wire.DirectPath)
	request, argon2id := fixture.LoginRequest(wire.DirectPath, u.Name, u.Password), costOf(b, u)
	var logins, hashes durations
	_, server, other := contestants(b, request)
	both := func() {
		var response *wire.Response
		other.beside(b, request, func() {
			logins = append(logins, timed(func() { response = server.Send(b, request) }))
			succeeded(b, response)
		})
		hashes = append(hashes, timed(func() { argon2id.hash(u.Password) }))
	}
	for b.Loop() {
		both()
	}
	for len(logins) < enoughLogins {
		both()
	}
	compareMedians(b, "login", logins, "argon2id", hashes)
	other.report(b, logins)
}

// cost contains the parameters of an argon2id hash: the memory in KiB, the passes and the threads.
type cost struct {
	memory, passes uint32
	threads        uint8
}

func costOf(b *testing.B, u fixture.User) cost {
	b.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: fixture.SystemNamespace, Name: "kubevision-credentials-" + u.Name}
	if err := env.Client.Get(b.Context(), key, secret); err != nil {
		b.Fatalf("reading the credentials of %s: %v", u.Name, err)
	}
	var c cost
	if _, err := fmt.Sscanf(string(secret.Data["passwordHash"]), "$argon2id$v=19$m=%d,t=%d,p=%d$", &c.memory, &c.passes,
		&c.threads); err != nil {
		b.Fatalf("reading the cost of the hash: %v", err)
	}
	return c
}

func (c cost) hash(password string) {
	const saltLength, keyLength = 16, 32
	argon2.IDKey([]byte(password), make([]byte, saltLength), c.passes, c.memory, c.threads, keyLength)
}
