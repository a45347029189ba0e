// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// BenchmarkLogin measures a right login, one at a time, beside the one part of it that cannot be done for less: the hash of the password,
// computed here. Its ns/op is the median login.
func BenchmarkLogin(b *testing.B) {
	u, client := set().User(b, "login"), direct(b)
	u.Login(b, client, wire.DirectPath)
	cost := costOf(b, u)
	request := fixture.LoginRequest(wire.DirectPath, u.Name, u.Password)
	var logins, hashes durations
	for b.Loop() {
		logins = append(logins, timed(func() { client.Call(b, request).Want(b, wire.OK) }))
		hashes = append(hashes, timed(func() { cost.hash(u.Password) }))
	}
	report(b, "login", logins, "argon2id", hashes)
}

// cost is that of an argon2id hash: the memory in KiB, the passes and the threads.
type cost struct {
	memory, passes uint32
	threads        uint8
}

// costOf is the cost of a user's hash, which the server pays for each of the user's logins.
func costOf(b *testing.B, u fixture.User) cost {
	b.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: fixture.SystemNamespace, Name: "kubevision-credentials-" + u.Name}
	if err := env.Client.Get(b.Context(), key, secret); err != nil {
		b.Fatalf("reading the credentials of %s: %v", u.Name, err)
	}
	var c cost
	if _, err := fmt.Sscanf(string(secret.Data["passwordHash"]), "$argon2id$v=19$m=%d,t=%d,p=%d$", &c.memory, &c.passes, &c.threads); err != nil {
		b.Fatalf("reading the cost of the hash: %v", err)
	}
	return c
}

func (c cost) hash(password string) {
	const saltLength, keyLength = 16, 32
	argon2.IDKey([]byte(password), make([]byte, saltLength), c.passes, c.memory, c.threads, keyLength)
}

func timed(do func()) time.Duration {
	begun := time.Now()
	do()
	return time.Since(begun)
}

// report compares the median of what was measured with that of what it was measured beside.
func report(b *testing.B, name string, d durations, baseName string, base durations) {
	b.Helper()
	b.ReportMetric(float64(d.quantile(median)), "ns/op") // the loop is both
	compare(b, median, name, d, baseName, base)
}
