// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const hostName = "local"

// host creates the KubeVisionCluster for the cluster on which KubeVision runs, unless the object exists. It then waits
// until the object is Ready.
func host(tb testing.TB) *kubevisionv1alpha1.KubeVisionCluster {
	tb.Helper()
	c := hostObject(hostName)
	if err := env.Client.Create(tb.Context(), c); err != nil && !apierrors.IsAlreadyExists(err) {
		tb.Fatalf("registering the host: %v", err)
	}
	awaitReady(tb, c)
	return c
}

func hostObject(name string) *kubevisionv1alpha1.KubeVisionCluster {
	return &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"environment": "test"}},
		Spec:       kubevisionv1alpha1.KubeVisionClusterSpec{InCluster: true},
	}
}

// noHost deletes all KubeVisionClusters for the cluster on which KubeVision runs. At the end of the test, it creates
// the KubeVisionCluster "local" again.
func noHost(tb testing.TB) {
	tb.Helper()
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := env.Client.List(tb.Context(), &all); err != nil {
		tb.Fatal(err)
	}
	for i := range all.Items {
		if all.Items[i].Spec.InCluster {
			remove(tb, &all.Items[i])
		}
	}
	tb.Cleanup(func() { registerHostAgain(tb) })
}

func registerHostAgain(tb testing.TB) {
	tb.Helper()
	ctx, cancel := later(tb)
	defer cancel()
	if err := env.Client.Create(ctx, hostObject(hostName)); err != nil && !apierrors.IsAlreadyExists(err) {
		tb.Errorf("registering the host again: %v", err)
	}
}

func memberKubeconfig(userFields string) string {
	return `{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://member.example:6443"}}],
users: [{name: u, user: {token: s3cr3t-canary` + userFields + `}}]}`
}

func unreachableCluster(tb testing.TB) *kubevisionv1alpha1.KubeVisionCluster {
	tb.Helper()
	return registered(newSource(tb, memberKubeconfig("")).Name)
}

func registered(secret string) *kubevisionv1alpha1.KubeVisionCluster {
	return &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: unique("member")},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: secret, Key: names.PasswordKey},
		},
	}
}

func exists(o client.Object, err error) error {
	if apierrors.IsNotFound(err) {
		return errors.New(o.GetName() + " does not exist")
	}
	return err
}
