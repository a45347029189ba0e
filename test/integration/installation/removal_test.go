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
	// timeoutFlag bounds the time for which "kubectl delete" waits for the end of a deletion. By default, kubectl waits
	// forever.
	timeoutFlag = "--timeout=3s"
)

var everyOrder = flag.Bool("every-order", false, "try each order of removal, which takes minutes")

// careless returns kubectl commands with which a careless user may try to remove an installation. Each key names the
// objects that the command deletes.
func careless() map[string][]string {
	return map[string][]string{
		"objects": {
			"delete", "kubevisionrolebindings,kubevisionclusters,kubevisionusers", "--all", "--ignore-not-found",
			timeoutFlag,
		},
		"manifests": {"delete", "-k", "config/default", "--ignore-not-found", timeoutFlag},
		"namespace": {"delete", "namespace", names.Namespace, "--ignore-not-found", timeoutFlag},
	}
}

// TestRemovalInEveryOrder verifies the command "remove" after a user has deleted parts of an installation with kubectl:
//   - Each kubectl command ends, although the controllers do not run and do not remove finalizers.
//   - The command "remove" removes the rest of the installation.
//   - The command "remove" deletes the objects on a registered cluster if the kubeconfig of the cluster still exists.
//
// The user runs kubectl immediately after the installation, when kube-apiserver does not enforce KubeVision's admission
// policies yet. Later, the policies would reject the deletions. By default, the test uses two orders of the deletions.
// With the flag -every-order, the test uses all orders.
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

// losesKubeconfig returns false if the Namespace with the kubeconfig exists and is not being deleted. Otherwise, it
// waits until the kubeconfig no longer exists, and returns true.
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

// leftovers returns RBAC objects that the controllers of KubeVision do not look for. The objects have the label of
// KubeVision, but no label with the name of a role binding.
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

// TestRemove verifies the command "remove", which deletes the objects of an installation:
//   - The command can run a second time without an error.
//   - The command deletes the Namespace kubevision-removal and the ClusterRoleBinding kubevision-removal only if the
//     flag --remove-self is set.
//   - The command keeps objects of other owners, even if the objects have the label of KubeVision.
//   - The command does not wait for an object whose finalizer another program must remove.
//   - The command deletes the Namespace kubevision-system only after all Pods in kubevision-system have ended.
//     Otherwise, kube-controller-manager would delay the deletion of this Namespace by half of the Pod's grace period.
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

// runPod creates a Pod and starts a goroutine that acts as the kubelet. The goroutine waits for a request to delete the
// Pod, and then completes the deletion. The channel receives an error if the Namespace was deleted before the Pod.
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
	go func() { ended <- finishDeletion(t.Context(), pod) }()
	return ended
}

// finishDeletion waits for a request to delete a Pod, and then removes the Pod like a kubelet. It returns an error if
// the deletion of the Namespace began before the removal of the Pod.
func finishDeletion(ctx context.Context, pod *corev1.Pod) error {
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

// TestRemovalRetriesTheCleanup verifies the command "remove" if the deletion of a CustomResourceDefinition takes long:
//   - The command patches the CustomResourceDefinition. The patch makes kube-apiserver retry the deletion of the custom
//     resources.
//   - The error of the command contains the reason that kube-apiserver gives.
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

// TestCarelessRemovalKeepsData verifies that no data is lost when a user deletes the manifests or the Namespace of
// KubeVision with kubectl. Admission policies must reject the deletion of the Namespace and of the
// CustomResourceDefinitions. Applying the manifests again must repair the installation.
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
