// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestImagesHaveAVersion verifies that each image has a tag other than "latest". Otherwise, each start could pull a
// different image.
func TestImagesHaveAVersion(t *testing.T) {
	root := readTree(t).root
	var found int
	err := filepath.WalkDir(filepath.Join(root, "config"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "deployment.yaml" {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			return err
		}
		var deployment appsv1.Deployment
		if err := yaml.Unmarshal(text, &deployment); err != nil {
			return err
		}
		pod := deployment.Spec.Template.Spec
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			if c.Image == "" { // the container belongs to a patch
				continue
			}
			found++
			if c.ImagePullPolicy != corev1.PullIfNotPresent {
				t.Errorf("%s: the pull policy of %s is %q", path, c.Name, c.ImagePullPolicy)
			}
			_, tag, _ := strings.Cut(c.Image, ":")
			if tag == "latest" || tag == "" && !setsTag(t, filepath.Dir(path), c.Image) {
				t.Errorf("%s: the image of %s is %s", path, c.Name, c.Image)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 2 {
		t.Errorf("%d images were found", found)
	}
}

// TestContainersAreConfined verifies that each container of KubeVision complies with the Pod Security profile
// "restricted". Each container also has a read-only root file system.
func TestContainersAreConfined(t *testing.T) {
	var found int
	for _, file := range manifests(t) {
		for text := range strings.SplitSeq(file, "\n---\n") {
			var workload appsv1.Deployment // the template of a Job has the same path
			if err := yaml.Unmarshal([]byte(text), &workload); err != nil ||
				workload.Namespace != names.Namespace && workload.Namespace != names.RemovalNamespace {
				continue
			}
			pod := workload.Spec.Template.Spec
			whole := pod.SecurityContext != nil && pod.SecurityContext.RunAsNonRoot != nil &&
				*pod.SecurityContext.RunAsNonRoot && pod.SecurityContext.SeccompProfile != nil &&
				pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault
			if usesNode(&pod) {
				t.Errorf("%s %s: the Pod uses a path or a namespace of its node", workload.Kind, workload.Name)
			}
			for _, c := range append(pod.InitContainers, pod.Containers...) {
				if c.SecurityContext == nil && c.Image == "" { // the container belongs to a patch
					continue
				}
				found++
				if !isConfined(c.SecurityContext) || !whole && c.Image != "kubevision-dashboard" {
					t.Errorf("%s %s: container %s is not confined: %+v", workload.Kind, workload.Name, c.Name,
						c.SecurityContext)
				}
			}
		}
	}
	if found < 4 {
		t.Errorf("%d containers were found", found)
	}
}

func usesNode(pod *corev1.PodSpec) bool {
	return pod.HostNetwork || pod.HostPID || pod.HostIPC || slices.ContainsFunc(pod.Volumes,
		func(v corev1.Volume) bool { return v.HostPath != nil })
}

func isConfined(c *corev1.SecurityContext) bool {
	// A container must not override RunAsNonRoot and SeccompProfile, which the Pod sets for all its containers.
	return c != nil && c.RunAsNonRoot == nil && (c.RunAsUser == nil || *c.RunAsUser != 0) &&
		c.SeccompProfile == nil && c.Privileged == nil &&
		c.ReadOnlyRootFilesystem != nil && *c.ReadOnlyRootFilesystem &&
		c.AllowPrivilegeEscalation != nil && !*c.AllowPrivilegeEscalation &&
		c.Capabilities != nil && len(c.Capabilities.Add) == 0 &&
		slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"})
}

func setsTag(t *testing.T, dir, image string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		Images []struct{ Name, NewTag string }
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	for _, i := range k.Images {
		if i.Name == image {
			return i.NewTag != "" && i.NewTag != "latest"
		}
	}
	return false
}

// TestNamespacesEnforceTheProfile verifies that the namespaces in which KubeVision runs enforce the Pod Security
// profile "restricted".
func TestNamespacesEnforceTheProfile(t *testing.T) {
	found := map[string]string{}
	for _, file := range manifests(t) {
		for text := range strings.SplitSeq(file, "\n---\n") {
			var n corev1.Namespace
			if err := yaml.Unmarshal([]byte(text), &n); err == nil && n.Kind == "Namespace" {
				found[n.Name] = n.Labels["pod-security.kubernetes.io/enforce"]
			}
		}
	}
	for _, name := range []string{names.Namespace, names.RemovalNamespace} {
		if found[name] != "restricted" {
			t.Errorf("namespace %s enforces %q", name, found[name])
		}
	}
}

// TestServiceAccountNamespacesAreProtected verifies that the namespace of each ServiceAccount of KubeVision is
// protected if a manifest grants rights to the ServiceAccount. The roles dev and ops must not apply in such a
// namespace. A user who may create Pods or tokens in a namespace can use its ServiceAccounts.
func TestServiceAccountNamespacesAreProtected(t *testing.T) {
	type object struct {
		Kind     string
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Subjects []struct{ Kind, Namespace, Name string }
	}
	var objects []object
	for _, file := range manifests(t) {
		for text := range strings.SplitSeq(file, "\n---\n") {
			var o object
			if err := yaml.Unmarshal([]byte(text), &o); err == nil {
				objects = append(objects, o)
			}
		}
	}
	labels := map[string]map[string]string{}
	for _, o := range objects {
		if o.Kind == "Namespace" {
			labels[o.Metadata.Name] = o.Metadata.Labels
		}
	}
	found := map[string]bool{}
	for _, o := range objects {
		for _, s := range o.Subjects {
			if s.Kind != "ServiceAccount" || !strings.HasPrefix(s.Name, "kubevision") {
				continue
			}
			found[s.Namespace] = true
			if !bindings.IsProtected(s.Namespace, labels[s.Namespace]) {
				t.Errorf("%s %s gives rights to ServiceAccount %s in namespace %q, which is not protected", o.Kind,
					o.Metadata.Name, s.Name, s.Namespace)
			}
		}
	}
	if !found[names.Namespace] || !found[names.RemovalNamespace] {
		t.Errorf("only these namespaces were found: %v", found)
	}
}

func manifests(t *testing.T) []string {
	t.Helper()
	var out []string
	root := filepath.Join(readTree(t).root, "config")
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		out = append(out, string(text))
		return err //nolint:wrapcheck // the error names the file
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
