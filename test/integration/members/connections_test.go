// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// newConnections connects the test process to the registered clusters, in the same way as kubevision-apiserver does.
func newConnections(tb testing.TB) *clusters.Connections {
	tb.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(kubevisionv1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme),
		metav1.AddMetaToScheme(scheme)); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	tb.Cleanup(cancel)
	config := env.Cluster.Config()
	cached, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	secrets, err := cache.New(config, cache.Options{
		Scheme: scheme, DefaultNamespaces: map[string]cache.Config{fixture.SystemNamespace: {}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	bound, err := clusters.NewBoundNames(ctx, cached)
	if err != nil {
		tb.Fatal(err)
	}
	live, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	connections, err := clusters.NewConnections(ctx, clusters.Options{
		Config: config, Cache: cached, Secrets: secrets, Live: live, Bound: bound,
	})
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range []cache.Cache{cached, secrets} {
		go func() { _ = c.Start(ctx) }()
		if !c.WaitForCacheSync(ctx) {
			tb.Fatal("a cache is not filled")
		}
	}
	tb.Cleanup(connections.Close)
	return connections
}

func connect(tb testing.TB, connections *clusters.Connections, cluster string) *clusters.Connection {
	tb.Helper()
	var connection *clusters.Connection
	fixture.Eventually(tb, "connect to "+cluster, func(ctx context.Context) (err error) {
		connection, err = connections.Get(ctx, cluster)
		return err
	})
	return connection
}

func callerOf(tb testing.TB, connection *clusters.Connection, name string) *clusters.Client {
	tb.Helper()
	var caller *clusters.Client
	fixture.Eventually(tb, "act as "+name, func(ctx context.Context) (err error) {
		caller, err = connection.As(ctx, &user.DefaultInfo{
			Name: "kubevision:" + name, Groups: []string{"kubevision:users", "system:authenticated"},
		})
		return err
	})
	return caller
}
