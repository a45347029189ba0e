// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestVoidToken verifies that a replica whose token has become void, because the ServiceAccount was made anew, answers
// the next read.
func TestVoidToken(t *testing.T) {
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	p, namespace := inNamespace(t, "readonly")
	p.client = at(t, replica.Endpoint())
	read := p.get("/clusters/" + host + "/namespaces/" + namespace + "/resources/pods?source=live")
	p.client.Call(t, read).Want(t, wire.OK)
	used := time.Now()
	t.Parallel()                                       // it goes on when the tests that are not parallel have ended
	time.Sleep(time.Until(used.Add(11 * time.Second))) // kube-apiserver remembers for 10 s that a token is valid
	account := &corev1.ServiceAccount{}
	key := client.ObjectKey{Namespace: fixture.SystemNamespace, Name: "kubevision-impersonator"}
	if err := env.Client.Get(t.Context(), key, account); err != nil {
		t.Fatal(err)
	}
	before := account.UID
	if err := env.Client.Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "the new account", func(ctx context.Context) error {
		err := env.Client.Get(ctx, key, account)
		if err == nil && account.UID == before {
			err = errors.New("it is the old one")
		}
		return err
	})
	time.Sleep(time.Second) // until the authenticator of kube-apiserver has the new account, too
	p.client.Call(t, read).Want(t, wire.OK)
}
