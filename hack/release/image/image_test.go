// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func source() Source {
	return Source{Repository: "kubevision", Version: "v1.2.3", Commit: "abc", Time: time.Unix(1_700_000_000, 0).UTC()}
}

func build(t *testing.T, architecture string) v1.Image {
	t.Helper()
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	base, err := BaseFiles(strings.TrimSpace(string(goroot)))
	if err != nil {
		t.Fatal(err)
	}
	image, err := Build(source(), architecture, base, []File{
		{Path: programsFolder + "/kubevision-apiserver", Mode: 0o755, Content: []byte(architecture)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func filesOf(t *testing.T, image v1.Image) map[string]*tar.Header {
	t.Helper()
	contents := mutate.Extract(image)
	defer func() { _ = contents.Close() }()
	out := map[string]*tar.Header{}
	for reader := tar.NewReader(contents); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out["/"+strings.TrimSuffix(header.Name, "/")] = header
	}
}

// TestBuild verifies that an image is reproducible, contains no shell, and runs as a non-root user.
func TestBuild(t *testing.T) {
	first, second := build(t, "arm64"), build(t, "arm64")
	a, err := first.Digest()
	if err != nil {
		t.Fatal(err)
	}
	b, err := second.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("two images of the same files are %s and %s", a, b)
	}
	config, err := first.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	version := config.Config.Labels["org.opencontainers.image.version"]
	if config.Config.User != User || config.Architecture != "arm64" || version != "v1.2.3" {
		t.Errorf("the configuration is %+v", config)
	}
	files := filesOf(t, first)
	for _, path := range []string{
		"/etc/passwd", "/etc/group", "/etc/ssl/certs/ca-certificates.crt", "/usr/share/zoneinfo/Europe/Berlin", "/tmp",
		"/usr/local/bin/kubevision-apiserver",
	} {
		if files[path] == nil {
			t.Errorf("%s is missing", path)
		}
	}
	for path, header := range files {
		executable := header.Typeflag == tar.TypeReg && header.Mode&0o111 != 0
		if executable && filepath.Dir(path) != programsFolder || header.Mode&0o6000 != 0 {
			t.Errorf("%s has the mode %o", path, header.Mode)
		}
	}
}

func TestCertificates(t *testing.T) {
	if !x509.NewCertPool().AppendCertsFromPEM(certificates()) {
		t.Error("there are no certificates")
	}
}

// TestWriteLayout verifies that an OCI image layout contains the images for two platforms. It also verifies that the
// archive of the layout is reproducible.
func TestWriteLayout(t *testing.T) {
	architectures := []string{"amd64", "arm64"}
	images := map[string]v1.Image{}
	for _, a := range architectures {
		images[a] = build(t, a)
	}
	index := Index(source(), architectures, images)
	var archives [][]byte
	for i := range 2 {
		folder, archive := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "image.tar")
		if err := WriteLayout(index, folder, "kubevision", "v1.2.3"); err != nil {
			t.Fatal(err)
		}
		written := time.Unix(int64(i), 0)
		if err := os.Chtimes(filepath.Join(folder, "index.json"), written, written); err != nil {
			t.Fatal(err)
		}
		if err := WriteTarball(folder, archive, source().Time); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
		checkLayout(t, folder, architectures)
	}
	if !slices.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
}

func checkLayout(t *testing.T, folder string, architectures []string) {
	t.Helper()
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(outer); err != nil {
		t.Error(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Manifests[0].Annotations["io.containerd.image.name"]; got != "kubevision:v1.2.3" {
		t.Errorf("the image is imported as %q", got)
	}
	inner, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range platforms.Manifests {
		if p.Platform.OS != "linux" || p.Platform.Architecture != architectures[i] {
			t.Errorf("image %d is for %s", i, p.Platform)
		}
	}
}
