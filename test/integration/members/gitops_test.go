// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestGitOps verifies that the objects in config/samples/gitops become Ready in any order of application, and that no
// object remains after any order of deletion.
func TestGitOps(t *testing.T) {
	member := theOther(t)
	createSampleSecrets(t, member)
	objects := sample(t)
	team := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: fixture.Name("shop"), Labels: map[string]string{"gitops.example.com/team": "shop"},
	}}
	member.set().Create(t, team)
	for round := range uint64(5) {
		t.Run(fmt.Sprintf("order %d", round), func(t *testing.T) {
			random := rand.New(rand.NewPCG(round, 1)) //nolint:gosec // the order is reproducible
			shuffle := func() []*unstructured.Unstructured {
				out := make([]*unstructured.Unstructured, 0, len(objects))
				for _, i := range random.Perm(len(objects)) {
					out = append(out, objects[i].DeepCopy())
				}
				return out
			}
			for _, o := range shuffle() {
				if err := env.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o),
					client.FieldOwner("gitops")); err != nil {
					t.Fatal(err)
				}
			}
			for _, o := range objects {
				becomesReady(t, o)
			}
			user := fixture.User{Name: "gitops-ines", Password: "correct horse battery staple"}
			c := direct(t)
			p := &person{User: user, client: c, token: user.Login(t, c, wire.DirectPath).AccessToken}
			if code := p.code(t, "gitops-production", "/namespaces/"+team.Name+"/resources/pods"); code != wire.OK {
				t.Errorf("code %d for the team in its namespace", code)
			}
			for _, o := range shuffle() {
				if err := env.Client.Delete(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			for _, o := range objects {
				set().Gone(t, o.DeepCopy())
			}
			nothingLeft(t, member)
			awaitCleanup(t, objects)
		})
	}
}

// createSampleSecrets creates the Secrets that the manifests in config/samples/gitops reference.
func createSampleSecrets(t *testing.T, member *plane) {
	t.Helper()
	text, err := localcluster.Kubeconfig(member.Config())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]map[string]string{
		"gitops-ines":       {"password": "correct horse battery staple"},
		"gitops-omar":       {"password": "staple battery horse correct"},
		"gitops-production": {"kubeconfig": string(text)},
	} {
		set().Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name},
			StringData: data})
	}
}

func sample(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := env.Cluster.Kubectl(t.Context(), "kustomize", filepath.Join(root, "config", "samples", "gitops"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
}

// becomesReady waits until an object is ready according to kstatus, which GitOps tools use.
func becomesReady(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	found := o.DeepCopy()
	fixture.Eventually(t, fmt.Sprintf("wait for %s %s", o.GetKind(), o.GetName()), func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), found); err != nil {
			return fmt.Errorf("reading it: %w", err)
		}
		observed, _, _ := unstructured.NestedInt64(found.Object, "status", "observedGeneration")
		conditions, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions")
		for _, c := range conditions {
			entry, _ := c.(map[string]any)
			if entry["type"] == "Ready" && entry["status"] == "True" && observed == found.GetGeneration() {
				return nil
			}
		}
		return fmt.Errorf("generation %d, observed %d: %v", found.GetGeneration(), observed, conditions)
	})
}

// awaitCleanup waits until KubeVision has deleted the RBAC objects and Secrets that belong to the given users and role
// bindings.
func awaitCleanup(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	fixture.Eventually(t, "wait for everything on the host to be removed", func(ctx context.Context) error {
		var left []string
		for _, list := range []client.ObjectList{
			&rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleBindingList{},
			&corev1.SecretList{},
			&kubevisionv1alpha1.KubeVisionSessionList{},
		} {
			if err := env.Client.List(ctx, list); err != nil {
				return fmt.Errorf("listing: %w", err)
			}
			for _, name := range namesOf(list) {
				for _, o := range objects {
					if name == "kubevision:binding:"+o.GetName() || name == "kubevision:use:"+o.GetName() ||
						name == "kubevision-credentials-"+o.GetName() {
						left = append(left, name)
					}
				}
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}
