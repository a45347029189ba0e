// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// hang is a flag that bounds the wait of the careless commands. By default, kubectl waits forever.
	hang = "--timeout=3s"
)

var everyOrder = flag.Bool("every-order", false, "try each order of removal, which takes minutes")

// careless returns commands with which users may try to remove an installation.
func careless() map[string][]string {
	return map[string][]string{
		"objects": {
			"delete", "kubevisionrolebindings,kubevisionclusters,kubevisionusers", "--all", "--ignore-not-found", hang,
		},
		"manifests": {"delete", "-k", "config/default", "--ignore-not-found", hang},
		"namespace": {"delete", "namespace", names.Namespace, "--ignore-not-found", hang},
	}
}

// TestRemovalInEveryOrder verifies that no command hangs if parts of an installation are deleted while its programs do
// not run, and before kube-apiserver enforces the protection. The command "remove" must then complete the removal,
// including the objects on the member. The test uses two orders of deletion, or every order if a flag is set.
func TestRemovalInEveryOrder(t *testing.T) {
	orders := [][]string{
		{"objects", "manifests", "namespace"}, {"manifests", "namespace", "objects"},
	}
	if *everyOrder {
		orders = append(orders,
			[]string{"objects", "namespace", "manifests"}, []string{"manifests", "objects", "namespace"},
			[]string{"namespace", "objects", "manifests"}, []string{"namespace", "manifests", "objects"})
	}
	for _, order := range orders {
		t.Run(strings.Join(order, ", "), func(t *testing.T) {
			install(t)
			for _, name := range order {
				if got := host.kubectl(t.Context(), careless()[name]...); got.took > patience-5*time.Second {
					t.Errorf("deleting the %s took %s: %s", name, got.took, got.output)
				}
			}
			lost := losesKubeconfig(t)
			var flags []string
			if lost {
				// The kubeconfig is missing, so the member cannot be reached.
				got := remove(t, "--timeout=20s")
				if got.err == nil || !strings.Contains(got.output, "KubeVisionCluster "+memberName) {
					t.Errorf("the grants on the member were lost without a word: %v\n%s", got.err, got.output)
				}
				flags = append(flags, "--abandon="+memberName)
			}
			if got := remove(t, flags...); got.err != nil {
				t.Fatalf("%v\n%s", got.err, got.output)
			}
			nothingLeft(t)
			checkMember(t, lost)
		})
	}
}

// losesKubeconfig returns true if the namespace with the kubeconfig is being deleted or gone. It waits until the
// kubeconfig is gone.
func losesKubeconfig(t *testing.T) bool {
	t.Helper()
	n := &corev1.Namespace{}
	err := host.admin.Get(t.Context(), client.ObjectKey{Name: names.Namespace}, n)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if err == nil && n.DeletionTimestamp.IsZero() {
		return false
	}
	if err := localcluster.Poll(t.Context(), patience, "lose the kubeconfig", func(context.Context) error {
		if !isGone(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: memberName}}) {
			return errors.New("it is there")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return true
}

// leftovers returns objects of the controllers on the host that no controller looks for, because they have the label of
// no role binding.
func leftovers() []client.Object {
	metadata := metav1.ObjectMeta{
		Name: "kubevision:left", Labels: map[string]string{names.ManagedByLabel: names.ManagedBy},
	}
	namespaced := *metadata.DeepCopy()
	namespaced.Namespace = metav1.NamespaceDefault
	view := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}
	return []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metadata}, &rbacv1.ClusterRoleBinding{ObjectMeta: metadata, RoleRef: view},
		&rbacv1.Role{ObjectMeta: namespaced}, &rbacv1.RoleBinding{ObjectMeta: namespaced, RoleRef: view},
	}
}

// TestRemove verifies that one command removes an installation, and succeeds again when no object remains. The command
// must neither delete an object of another owner that has the label of KubeVision's parts, nor wait for such an object.
// The Pods must end before the namespace is deleted, because the deletion would otherwise take half of their grace
// period.
func TestRemove(t *testing.T) {
	install(t)
	labels := map[string]string{"app.kubernetes.io/part-of": "kubevision"}
	foreign := []client.Object{
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubevision-of-a-team", Labels: labels}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "team:kubevision", Labels: labels}},
	}
	// The object is being deleted, and another program must remove its finalizer.
	held := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{
		Name: "kubevision-held", Labels: labels, Finalizers: []string{"example.com/held"},
	}}
	for _, o := range append(foreign, held) {
		create(t, host.admin, o)
	}
	for _, o := range leftovers() {
		create(t, host.programs, o)
	}
	ended := runPod(t)
	own := ownObjects()
	for _, o := range own { // the namespace may exist, because manifests were applied to it
		if err := client.IgnoreAlreadyExists(host.admin.Create(t.Context(), o)); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{}, {"--remove-self"}} {
		if len(args) > 0 {
			for _, o := range own {
				if isGone(t, o) || !o.GetDeletionTimestamp().IsZero() {
					t.Errorf("%T %s was deleted without --remove-self", o, o.GetName())
				}
			}
		}
		if got := remove(t, args...); got.err != nil {
			t.Fatalf("%v\n%s", got.err, got.output)
		}
	}
	if err := localcluster.Poll(t.Context(), patience, "remove the objects of the Job", func(context.Context) error {
		for _, o := range own {
			if !isGone(t, o) {
				return fmt.Errorf("%T %s is left", o, o.GetName())
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := host.admin.Patch(t.Context(), held, client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Error(err)
	}
	for _, o := range foreign {
		if isGone(t, o) || !o.GetDeletionTimestamp().IsZero() {
			t.Errorf("%s was deleted", o.GetName())
		}
		if err := host.admin.Delete(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	nothingLeft(t)
	checkMember(t, false)
}

// ownObjects returns the objects of the Job that removes an installation.
func ownObjects() []client.Object {
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.RemovalNamespace}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: names.RemovalNamespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		},
	}
}

// runPod creates a Pod on a node, and ends it like a kubelet when it is deleted. The channel receives an error if the
// namespace was deleted before the Pod.
func runPod(t *testing.T) <-chan error {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: "runs"},
		Spec: corev1.PodSpec{
			NodeName: "node", TerminationGracePeriodSeconds: new(int64(70)),
			Containers: []corev1.Container{{Name: "main", Image: "main", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), RunAsNonRoot: new(true),
				Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			}}},
		},
	}
	create(t, host.admin, pod)
	ended := make(chan error, 1)
	go func() { ended <- endDeleted(t.Context(), pod) }()
	return ended
}

// endDeleted waits for the deletion of a Pod, and ends it.
func endDeleted(ctx context.Context, pod *corev1.Pod) error {
	if err := localcluster.Poll(ctx, patience, "see the deletion of a Pod", func(ctx context.Context) error {
		if err := host.admin.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if pod.DeletionTimestamp.IsZero() {
			return errors.New("it runs")
		}
		return nil
	}); err != nil {
		return err
	}
	n := &corev1.Namespace{}
	err := host.admin.Get(ctx, client.ObjectKey{Name: names.Namespace}, n)
	if err == nil && !n.DeletionTimestamp.IsZero() {
		err = errors.New("the namespace was deleted before its Pods have ended")
	}
	return errors.Join(err, host.admin.Delete(ctx, pod, client.GracePeriodSeconds(0)))
}

// TestRemovalRetriesTheCleanup verifies that a removal changes a CustomResourceDefinition whose deletion takes long, so
// that kube-apiserver tries again to delete its objects, and that the error contains the reason that kube-apiserver
// gives.
func TestRemovalRetriesTheCleanup(t *testing.T) {
	host.must(t, "apply", "--server-side", "-k", "config/crd")
	host.must(t, "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=kubevision")
	const name, held = "crd/kubevisionsessions.kubevision.io", `["example.com/held"]`
	host.must(t, "patch", name, "--type=merge", "-p", `{"metadata":{"finalizers":`+held+`}}`)
	got := remove(t, "--timeout=12s")
	if got.err == nil || !strings.Contains(got.output, "kubevisionsessions.kubevision.io is left, with the") {
		t.Errorf("%v\n%s", got.err, got.output)
	}
	const annotation = `jsonpath={.metadata.annotations.kubevision\.io/cleanup-retried-at}`
	if at := host.must(t, "get", name, "-o", annotation); at == "" {
		t.Error("the cleanup was not retried")
	}
	reason := host.must(t, "get", name, "-o", `jsonpath={.status.conditions[?(@.type=="Terminating")].message}`)
	if reason == "" || !strings.Contains(got.output, reason) {
		t.Errorf("the reason %q is not in\n%s", reason, got.output)
	}
	host.must(t, "patch", name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	if got := remove(t); got.err != nil {
		t.Fatalf("%v\n%s", got.err, got.output)
	}
	nothingLeft(t)
}

// TestCarelessRemovalKeepsData verifies that the deletion of the manifests or the namespace of an installation with
// objects is rejected, and that applying the manifests again repairs the installation.
func TestCarelessRemovalKeepsData(t *testing.T) {
	install(t)
	guarded(t)
	for _, name := range []string{"namespace", "manifests"} {
		got := host.kubectl(t.Context(), careless()[name]...)
		if got.err == nil || !strings.Contains(got.output, "remove.yaml") {
			t.Errorf("deleting the %s: %v\n%s", name, got.err, got.output)
		}
	}
	host.must(t, "apply", "--server-side", "--force-conflicts", "-k", "config/default")
	user := &kubevisionv1alpha1.KubeVisionUser{}
	if err := host.admin.Get(t.Context(), client.ObjectKey{Name: "alice"}, user); err != nil ||
		user.DeletionTimestamp != nil {
		t.Errorf("the user is lost: %v", err)
	}
	if isGone(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: memberName}}) {
		t.Error("the kubeconfig is lost")
	}
	if got := remove(t); got.err != nil {
		t.Fatalf("%v\n%s", got.err, got.output)
	}
	nothingLeft(t)
	checkMember(t, false)
}

// guarded waits until kube-apiserver has found the kinds to which the policies refer.
func guarded(t *testing.T) {
	t.Helper()
	if err := localcluster.Poll(t.Context(), patience, "be guarded", func(ctx context.Context) error {
		for _, name := range []string{"namespace/" + names.Namespace, "crd/kubevisionusers.kubevision.io"} {
			got := host.kubectl(ctx, "delete", "--dry-run=server", name)
			if !strings.Contains(got.output, "remove.yaml") {
				return fmt.Errorf("deleting %s: %s", name, got.output)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
