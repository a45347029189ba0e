// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// removalTime is how long what is left may take to go.
const removalTime = time.Minute

// recovery returns the commands of the page for an installation that was removed in another order: those for objects
// that stay, and those for namespaces.
func recovery(t *testing.T) (stuck, namespaces string) {
	t.Helper()
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "### After another order\n")
	blocks := indented(section)
	if !found || len(blocks) < 2 || !strings.Contains(blocks[0], "finalizers") ||
		!strings.Contains(blocks[1], "apiservice") {
		t.Fatalf("the section has %d blocks", len(blocks))
	}
	return blocks[0], blocks[1]
}

// TestRemovalInTheWrongOrder: what the page says ends a removal that hangs, because the programs were gone before the
// objects, or the namespace before the APIService.
func TestRemovalInTheWrongOrder(t *testing.T) {
	stuck, namespaces := recovery(t)
	in := newShell(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cluster, err := env.StartCluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Stop() })
	admin, err := client.New(cluster.Config(), client.Options{Scheme: env.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	apply := "kubectl apply --server-side -k config/crd >/dev/null\n" +
		"kubectl wait --for=condition=Established crd kubevisionusers.kubevision.io >/dev/null\n" +
		"kubectl apply --server-side -k config/default >/dev/null\n"

	in.must(t, cluster.Config(), apply)
	user := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{
		Name: "left", Finalizers: []string{"kubevision.io/user"},
	}}
	fixture.Eventually(t, "make a user", func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(admin.Create(ctx, user.DeepCopy()))
	})
	in.must(t, cluster.Config(), "kubectl delete --wait=false -k config/default")
	if err := localcluster.Poll(ctx, removalTime, "be in the middle", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(user), user); err != nil {
			return fmt.Errorf("reading the user: %w", err)
		}
		if user.DeletionTimestamp.IsZero() {
			return errors.New("the user is not being deleted yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	in.must(t, cluster.Config(), stuck)
	in.must(t, cluster.Config(), "kubectl wait --for=delete --timeout=60s crd/kubevisionusers.kubevision.io")
	gone(ctx, t, admin, fixture.SystemNamespace)

	in.must(t, cluster.Config(), apply)
	in.must(t, cluster.Config(), "kubectl delete --wait=false namespace "+fixture.SystemNamespace)
	in.must(t, cluster.Config(), namespaces)
	gone(ctx, t, admin, fixture.SystemNamespace)
}

func gone(ctx context.Context, t *testing.T, admin client.Client, namespace string) {
	t.Helper()
	if err := localcluster.Poll(ctx, removalTime, "see the end of the namespace", func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKey{Name: namespace}, &corev1.Namespace{})
		if !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("it is there"), err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
