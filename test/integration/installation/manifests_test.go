// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// foreignCRDs returns the CustomResourceDefinitions that optional manifests of KubeVision need. It maps Go modules of
// other projects to the paths of YAML files in the modules.
func foreignCRDs() map[string][]string {
	return map[string][]string{
		"sigs.k8s.io/gateway-api@v1.6.0": {
			"config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
			"config/crd/standard/gateway.networking.k8s.io_tlsroutes.yaml",
		},
		"github.com/cert-manager/cert-manager@v1.21.2": {"deploy/crds/cert-manager.io_certificates.yaml"},
		"github.com/prometheus-operator/prometheus-operator@v0.85.0": {
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		},
	}
}

// TestManifests verifies that kube-apiserver accepts all objects of all kustomizations without a warning.
// kube-apiserver must also accept the Pods in a namespace that enforces the Pod Security profile "restricted".
func TestManifests(t *testing.T) {
	defineForeign(t)
	host.must(t, "apply", "--server-side", "-k", "config/crd")
	host.must(t, "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=kubevision")
	host.must(t, "apply", "--server-side", "-k", "config/rbac")
	// These namespaces are otherwise created only in a dry run.
	for _, name := range []string{"kubevision-removal", "demo", "monitoring"} {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		create(t, host.admin, n)
		t.Cleanup(func() { _ = host.admin.Delete(t.Context(), n) })
	}
	if err := createPod(t, corev1.PodSpec{
		Containers: []corev1.Container{{Name: "main", Image: "main"}},
	}); !apierrors.IsForbidden(err) {
		t.Errorf("a Pod that is not confined: %v", err)
	}
	var folders, pods int
	for _, folder := range kustomizations(t) {
		got := host.kubectl(t.Context(),
			"apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", folder)
		if got.err != nil || strings.Contains(got.output, "Warning") {
			t.Errorf("%s: %v\n%s", folder, got.err, got.output)
			continue
		}
		folders++
		pods += checkPods(t, host.must(t, "kustomize", folder))
	}
	if folders < 15 || pods < 8 {
		t.Errorf("%d kustomizations with %d Pods were checked", folders, pods)
	}
	t.Run("chart", checkChart)
	if got := remove(t); got.err != nil {
		t.Fatalf("%v\n%s", got.err, got.output)
	}
}

func kustomizations(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "config", "*", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("kind: Component")) { // a component cannot be rendered separately
			out = append(out, "config/"+filepath.Base(filepath.Dir(f)))
		}
	}
	return out
}

func defineForeign(t *testing.T) {
	t.Helper()
	for module, files := range foreignCRDs() {
		cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
		cmd.Dir = t.TempDir() // a directory outside of the module
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("downloading %s: %v\n%s", module, err, text)
		}
		var downloaded struct{ Dir string }
		if err := json.Unmarshal(text, &downloaded); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			path := filepath.Join(downloaded.Dir, f)
			host.must(t, "apply", "--server-side", "-f", path)
			t.Cleanup(func() { host.kubectl(t.Context(), "delete", "--wait=false", "-f", path) })
		}
	}
	host.must(t, "wait", "--for=condition=Established", "crd", "--all")
}

// checkPods verifies that kube-apiserver accepts a Pod of each Deployment and Job in the manifests. It returns the
// number of Pods.
func checkPods(t *testing.T, manifests string) int {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096)
	var count int
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); err != nil {
			return count
		}
		template := podTemplate(t, o)
		if template == nil || o.GetNamespace() == "demo" { // the object belongs to an example of a workload
			continue
		}
		count++
		// Pod Security would reject the Pod, but not the Deployment or the Job.
		if err := createPod(t, template.Spec); err != nil {
			t.Errorf("the Pods of %s are rejected: %v", o.GetName(), err)
		}
	}
}

func createPod(t *testing.T, spec corev1.PodSpec) error {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kubevision-system", GenerateName: "dry-run-"}, Spec: spec,
	}
	// The account and the priority of a manifest might not exist.
	pod.Spec.ServiceAccountName, pod.Spec.PriorityClassName = "", ""
	return host.admin.Create(t.Context(), pod, client.DryRunAll)
}

func podTemplate(t *testing.T, o *unstructured.Unstructured) *corev1.PodTemplateSpec {
	t.Helper()
	decode := func(into any) {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
			t.Fatal(err)
		}
	}
	switch o.GetKind() {
	case "Deployment":
		d := &appsv1.Deployment{}
		decode(d)
		return &d.Spec.Template
	case "Job":
		j := &batchv1.Job{}
		decode(j)
		return &j.Spec.Template
	}
	return nil
}
