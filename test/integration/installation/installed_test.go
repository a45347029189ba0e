// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const memberName = "edge"

// install installs KubeVision on the host cluster. It creates a user, a role binding and a KubeVisionCluster for the
// member cluster. On the member cluster, it creates the objects that the controllers would create.
//
// install applies the admission policies last. kube-apiserver may need 30 seconds to find the kinds to which the
// policies refer. Until then, the policies reject new users and role bindings.
func install(t *testing.T) {
	t.Helper()
	host.must(t, "apply", "--server-side", "-k", "config/crd")
	host.must(t, "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=kubevision")
	host.must(t, "apply", "--server-side", "-k", "config/rbac")
	kubeconfig, err := localcluster.Kubeconfig(member.Config())
	if err != nil {
		t.Fatal(err)
	}
	cluster := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: memberName, Finalizers: []string{"kubevision.io/cluster"}},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: memberName},
		},
	}
	binding := &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "alice", Finalizers: []string{"kubevision.io/role-binding"}},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: []kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: "alice"}},
			RoleRef:  kubevisionv1alpha1.RoleReference{Name: "readonly"},
			Clusters: kubevisionv1alpha1.ClusterTargets{Names: []string{memberName}},
		},
	}
	for _, o := range []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: memberName},
			Data:       map[string][]byte{"kubeconfig": kubeconfig},
		},
		&kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: "alice"}}, cluster, binding,
	} {
		create(t, host.admin, o)
	}
	system := &corev1.Namespace{}
	if err := member.admin.Get(t.Context(), client.ObjectKey{Name: metav1.NamespaceSystem}, system); err != nil {
		t.Fatal(err)
	}
	cluster.Status.ClusterID = string(system.UID)
	if err := host.programs.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	for _, o := range memberObjects() {
		create(t, member.admin, o)
	}
	host.must(t, "apply", "--server-side", "-k", "config/default")
}

func create(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	if err := localcluster.Poll(t.Context(), patience, "create "+o.GetName(), func(ctx context.Context) error {
		return c.Create(ctx, o)
	}); err != nil {
		t.Fatal(err)
	}
}

// memberObjects returns objects that the controllers would create on the member cluster. The ClusterRoleBinding belongs
// to a KubeVisionRoleBinding. The ClusterRole belongs to no KubeVisionRoleBinding, and is deleted only when
// the member cluster is unregistered.
func memberObjects() []client.Object {
	labels := map[string]string{names.ManagedByLabel: names.ManagedBy}
	return []client.Object{
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{
				Name:   "kubevision:alice",
				Labels: map[string]string{names.ManagedByLabel: names.ManagedBy, names.RoleBindingLabel: "alice"},
			},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "alice"}},
		},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:left", Labels: labels}},
	}
}

// checkMember verifies that the objects of the controllers were removed from the member cluster. If abandoned is true,
// the objects must still exist. checkMember then deletes them.
func checkMember(t *testing.T, abandoned bool) {
	t.Helper()
	for _, o := range memberObjects() {
		err := member.admin.Delete(t.Context(), o)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		if found := err == nil; found != abandoned {
			t.Errorf("%s is on the member: %v, want %v", o.GetName(), found, abandoned)
		}
	}
}

// remove runs the command "remove" of kubevision-controller-manager with the kubeconfig of an administrator.
func remove(t *testing.T, args ...string) outcome {
	t.Helper()
	// The test clusters listen on a loopback address, which the default of --cluster-addresses-denied denies.
	args = append([]string{
		"remove", "--kubeconfig=" + host.kubeconfig, "--cluster-addresses-denied=169.254.0.0/16", "--timeout=45s",
	}, args...)
	got := host.run(t.Context(), filepath.Join(bin, "kubevision-controller-manager"), args...)
	t.Logf("remove took %s", got.took.Round(time.Millisecond))
	return got
}

func isGone(t *testing.T, o client.Object) bool {
	t.Helper()
	err := host.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return apierrors.IsNotFound(err)
}

// nothingLeft fails the test if the cluster still has an object of KubeVision. It also fails the test if a Namespace
// cannot be created, changed and deleted, for example because an admission policy remains.
func nothingLeft(t *testing.T) {
	t.Helper()
	const kinds = "customresourcedefinitions,validatingadmissionpolicies,validatingadmissionpolicybindings," +
		"apiservices,clusterroles,clusterrolebindings,roles,rolebindings," +
		"priorityclasses,flowschemas,prioritylevelconfigurations,deployments,services,configmaps"
	for _, label := range []string{
		"app.kubernetes.io/part-of=kubevision", names.ManagedByLabel + "=" + names.ManagedBy,
	} {
		if out := host.must(t, "get", kinds, "--all-namespaces", "-l", label, "-o", "name"); out != "" {
			t.Errorf("left, with the label %s:\n%s", label, out)
		}
	}
	// kube-apiserver deletes the APIServices of CustomResourceDefinitions some time later.
	for line := range strings.Lines(host.must(t, "get", strings.Replace(kinds, "apiservices,", "", 1),
		"--all-namespaces", "-o", "name")) {
		if strings.Contains(line, "kubevision") {
			t.Errorf("left, without a label: %s", line)
		}
	}
	for _, name := range []string{
		"namespace/" + names.Namespace, "apiservice/" + names.APIService, "crd/kubevisionusers.kubevision.io",
	} {
		if out := host.must(t, "get", name, "--ignore-not-found", "-o", "name"); out != "" {
			t.Errorf("%s is left", out)
		}
	}
	if err := useNamespace(t.Context()); err != nil {
		t.Errorf("namespaces cannot be used: %v", err)
	}
}

func useNamespace(ctx context.Context) error {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "after-"}}
	if err := host.admin.Create(ctx, n); err != nil {
		return fmt.Errorf("creating a namespace: %w", err)
	}
	n.Labels = map[string]string{"team": "shop"}
	if err := host.admin.Update(ctx, n); err != nil {
		return fmt.Errorf("changing a namespace: %w", err)
	}
	if err := host.admin.Delete(ctx, n); err != nil {
		return fmt.Errorf("deleting a namespace: %w", err)
	}
	return localcluster.Poll(ctx, patience, "see the end of a namespace", func(ctx context.Context) error {
		err := host.admin.Get(ctx, client.ObjectKeyFromObject(n), n)
		if !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("it is there"), err)
		}
		return nil
	})
}
