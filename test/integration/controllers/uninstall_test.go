// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestNamespacesOutliveAnInstallation verifies that clients can create, change and delete namespaces during the
// uninstallation of KubeVision. The test covers two orders of deletion:
//   - All objects of KubeVision are deleted together.
//   - The CustomResourceDefinitions are deleted first.
func TestNamespacesOutliveAnInstallation(t *testing.T) {
	cluster, err := env.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(cluster.Config(), client.Options{Scheme: env.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	folder := func(name string) string { return filepath.Join(root, "config", name) }
	namespaces := func(ctx context.Context) error {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: labelSet{"team": "shop"}}}
		if err := admin.Create(ctx, n); err != nil {
			return err
		}
		if err := admin.Patch(ctx, n, merge(`{"metadata":{"labels":{"team":"web"}}}`)); err != nil {
			return err
		}
		return admin.Delete(ctx, n)
	}
	for _, removed := range [][]string{{"default"}, {"crd", "default"}} {
		if err := cluster.Apply(t.Context(), folder("default")); err != nil {
			t.Fatal(err)
		}
		// kube-apiserver loads the policies after a second, and must then find the kinds to which they refer.
		eventually(t, 2*time.Minute, "write namespaces beside the installation", func(ctx context.Context) error {
			for range 5 {
				if err := namespaces(ctx); err != nil {
					return err
				}
				time.Sleep(time.Second)
			}
			return nil
		})
		for _, name := range removed {
			if _, err := cluster.Kubectl(t.Context(), "delete", "--ignore-not-found", "--wait=false", "-k",
				folder(name)); err != nil {
				t.Fatal(err)
			}
			holds(t, 3*time.Second, "after "+name+" was deleted", namespaces)
		}
		eventually(t, time.Minute, "see the end of KubeVision's namespace", func(ctx context.Context) error {
			err := admin.Get(ctx, client.ObjectKey{Name: names.Namespace}, &corev1.Namespace{})
			if !apierrors.IsNotFound(err) {
				return errors.Join(errors.New("it is there"), err)
			}
			return nil
		})
	}
}
