// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// TestNamespaceDeletionAfterAnOutage verifies that the deletion of a namespace completes soon after an outage of
// kubevision-apiserver. During the outage, the unavailable aggregated API can block the deletion.
func TestNamespaceDeletionAfterAnOutage(t *testing.T) {
	const (
		down = 5 * time.Second
		// The namespace controller tries again after at most twice the time for which it has failed, and the
		// aggregation layer recognizes the available replica after some seconds.
		finished = 30 * time.Second
		// The aggregation layer requests the discovery document of the replica every half minute.
		noticed = time.Minute
	)
	if !env.Cluster.HasControllerManager() {
		t.Skip("there is no kube-controller-manager")
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("outage")}}
	if err := env.Client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	if err := env.KubeVision.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	started := false
	start := func(ctx context.Context) {
		if started {
			return
		}
		started = true
		if err := env.KubeVision.APIServer().Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		start(ctx)
		if err := env.KubeVision.WaitAvailable(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := localcluster.Poll(t.Context(), noticed, "notice the outage", func(ctx context.Context) error {
		text, err := env.Cluster.Kubectl(ctx, "get", "apiservice", "v1alpha1.dashboard.kubevision.io", "-o",
			`jsonpath={.status.conditions[?(@.type=="Available")].status}`)
		if err != nil || text == "False" {
			return err
		}
		return fmt.Errorf("Available is %s", text)
	}); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	time.Sleep(max(0, down-time.Since(stopped))) // the outage must have a minimum length
	blocked := env.Client.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace) == nil
	start(t.Context())
	back := time.Now()
	if err := localcluster.Poll(t.Context(), finished, "wait for the end", func(ctx context.Context) error {
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("it is %s: %v", namespace.Status.Phase, namespace.Status.Conditions))
	}); err != nil {
		t.Error(err)
	}
	t.Logf("down for %s (the namespace was blocked: %t), and gone %s after that",
		back.Sub(stopped).Round(time.Millisecond), blocked, time.Since(back).Round(time.Millisecond))
}
