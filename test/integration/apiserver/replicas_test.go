// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func newReplica(t *testing.T) *localcluster.APIServer {
	t.Helper()
	replica, err := env.StartReplica(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Stop() })
	return replica
}

// sharedReplica starts a replica at the first call, and returns the same replica at every call. Tests that stop a
// replica must not use this replica.
var sharedReplica = sync.OnceValues(func() (*localcluster.APIServer, error) {
	return env.StartReplica(context.Background())
})

func another(t *testing.T) *wire.Client {
	t.Helper()
	replica, err := sharedReplica()
	if err != nil {
		t.Fatal(err)
	}
	return at(t, replica.Endpoint())
}

// TestReplicasAgree verifies that each replica immediately accepts tokens of the other replica, and that a session ends
// on both replicas.
func TestReplicasAgree(t *testing.T) {
	first, second := direct(t), another(t)
	a := newActor(t, "")
	for range 20 {
		login := a.User.Login(t, first, wire.DirectPath)
		second.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: login.AccessToken}).Want(t, wire.OK)
		login = a.User.Login(t, second, wire.DirectPath)
		first.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: login.AccessToken}).Want(t, wire.OK)
	}
	disable(t, a.User, true)
	request := wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken}
	soon(t, first, wire.TokenExpired, request)
	soon(t, second, wire.TokenExpired, request)
	first.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)).Want(t, wire.Unauthenticated)
	second.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)).Want(t, wire.Unauthenticated)
}

func TestANewUserOnAnotherReplica(t *testing.T) {
	first, second := direct(t), another(t)
	for range 5 {
		u := set().User(t, "young")
		login := u.Login(t, first, wire.DirectPath)
		if got := username(t, second.Call(t,
			wire.Request{Path: wire.DirectPath + me, Bearer: login.AccessToken})); got != u.Name {
			t.Errorf("the caller is %s, want %s", got, u.Name)
		}
	}
}

// TestKilledAndStartedAgain verifies that a token remains valid after a restart of the process that issued it.
func TestKilledAndStartedAgain(t *testing.T) {
	replica := newReplica(t)
	client := at(t, replica.Endpoint())
	a := newActor(t, "")
	login := a.User.Login(t, client, wire.DirectPath)
	request := wire.Request{Path: wire.DirectPath + me, Bearer: login.AccessToken}
	client.Call(t, request).Want(t, wire.OK)
	if err := replica.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := client.Answers(t.Context(), wire.OK, request); err == nil {
		t.Fatal("it was not killed")
	}
	if err := replica.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	at(t, replica.Endpoint()).Call(t, request).Want(t, wire.OK)
}

// TestRestartBehindKubeAPIServer verifies that requests through kube-apiserver succeed again after kubevision-apiserver
// was killed and restarted. Existing access tokens remain valid.
func TestRestartBehindKubeAPIServer(t *testing.T) {
	a := newActor(t, "")
	porter := kube(t, "porter")
	request := wire.Request{Path: wire.GroupPath + me, Token: a.AccessToken}
	porter.Call(t, request).Want(t, wire.OK)
	if err := env.KubeVision.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := env.KubeVision.APIServer().Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := env.KubeVision.WaitAvailable(t.Context()); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "wait until kube-apiserver reaches it again", func(ctx context.Context) error {
		if err := porter.Answers(ctx, wire.OK, request); err != nil {
			return fmt.Errorf("through kube-apiserver: %w", err)
		}
		return nil
	})
	direct(t).Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken}).Want(t, wire.OK)
}
