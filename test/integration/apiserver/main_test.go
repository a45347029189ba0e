// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver_test tests kubevision-apiserver in a real control plane, including attacks.
package apiserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

const (
	host = "host"
	// me, clusterList and onHost are paths without the base path.
	me          = "/users/me"
	clusterList = "/clusters"
	onHost      = "/clusters/" + host

	// promptly bounds the time until a revocation takes effect on all replicas.
	promptly = time.Second
)

var env *environment.Environment

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, environment.Options{
		// The tests of concurrent requests send them to the first server and to a replica.
		DetectRacesInReplicas: true,
	}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

// direct returns a client of kubevision-apiserver, with an optional client certificate.
func direct(tb testing.TB, pairs ...localcluster.KeyPair) *wire.Client {
	tb.Helper()
	return at(tb, env.KubeVision.Endpoint(), pairs...)
}

func at(tb testing.TB, endpoint string, pairs ...localcluster.KeyPair) *wire.Client {
	tb.Helper()
	var certificates []tls.Certificate
	for _, p := range pairs {
		c, err := tls.X509KeyPair(p.CertPEM, p.KeyPEM)
		if err != nil {
			tb.Fatal(err)
		}
		certificates = append(certificates, c)
	}
	c, err := wire.New(endpoint, env.KubeVision.CAPEM(), certificates...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func admin() localcluster.KeyPair {
	config := env.Cluster.Config()
	return localcluster.KeyPair{CertPEM: config.CertData, KeyPEM: config.KeyData}
}

func kube(tb testing.TB, user string, groups ...string) *wire.Client {
	tb.Helper()
	config, err := env.Cluster.UserConfig(user, groups...)
	if err != nil {
		tb.Fatal(err)
	}
	return wire.Configured(tb, config)
}

type actor struct {
	fixture.User
	fixture.Login
}

// newActor creates a user with a role in the given namespaces, and logs in as the user. Without namespaces, the role
// applies to the whole cluster. If the role is empty, the user has no rights.
func newActor(tb testing.TB, role string, namespaces ...string) actor {
	tb.Helper()
	set().HostCluster(tb, host)
	a := actor{User: set().User(tb, "actor")}
	if role != "" {
		set().Bind(tb, "actor", fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(a.User), Cluster: host,
			Namespaces: namespaces})
	}
	a.Login = a.User.Login(tb, direct(tb), wire.DirectPath)
	return a
}

func becomes(tb testing.TB, client *wire.Client, code int, r wire.Request) {
	tb.Helper()
	fixture.Eventually(tb, fmt.Sprintf("wait for code %d at %s", code, r.Path), func(ctx context.Context) error {
		return client.Answers(ctx, code, r)
	})
}

// soon repeats a request until the response has the given code, and returns the elapsed time. The test fails if this
// takes longer than the time limit for revocations.
func soon(tb testing.TB, client *wire.Client, code int, r wire.Request) time.Duration {
	tb.Helper()
	begun := time.Now()
	for {
		err := client.Answers(tb.Context(), code, r)
		took := time.Since(begun)
		if err == nil {
			tb.Logf("code %d after %s", code, took.Round(time.Millisecond))
			return took
		}
		if took > promptly {
			tb.Errorf("still after %s: %v", took.Round(time.Millisecond), err)
			return took
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func username(tb testing.TB, e wire.Envelope) string {
	tb.Helper()
	var data struct {
		Username string `json:"username"`
	}
	e.Want(tb, wire.OK).Into(tb, &data)
	return data.Username
}

func subject(kind kubevisionv1alpha1.SubjectKind, name string) []kubevisionv1alpha1.Subject {
	return []kubevisionv1alpha1.Subject{{Kind: kind, Name: name}}
}
