// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestImagesHaveAVersion: an image without a tag, or with "latest", is pulled at each start, and is another one each
// time.
func TestImagesHaveAVersion(t *testing.T) {
	root := readTree(t).root
	var found int
	err := filepath.WalkDir(filepath.Join(root, "config"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "deployment.yaml" {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // the tree is the project's own
		if err != nil {
			return err
		}
		var deployment appsv1.Deployment
		if err := yaml.Unmarshal(text, &deployment); err != nil {
			return err
		}
		pod := deployment.Spec.Template.Spec
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			if c.Image == "" { // of a patch
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

// setsTag returns whether the kustomization of a directory gives an image a version.
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
