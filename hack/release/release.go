// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubevision-io/kubevision/hack/release/chart"
	"github.com/kubevision-io/kubevision/hack/release/image"
	"github.com/kubevision-io/kubevision/hack/release/manifests"
	"github.com/kubevision-io/kubevision/hack/release/sbom"
)

// release describes a release and the folder that it is written to.
type release struct {
	root, output     string
	repository       string
	version, commit  string
	date             string
	linkerFlags      string
	architectureList string

	time          time.Time
	architectures []string
}

func (r *release) addFlags(fs *flag.FlagSet) {
	fs.StringVar(&r.root, "root", "../..", "the root of the repository")
	fs.StringVar(&r.output, "output", "", "the folder of the release; its content is replaced")
	fs.StringVar(&r.repository, "repository", manifests.ProgramsImage, "the name of the image, without a tag")
	fs.StringVar(&r.version, "version", "", "the version, such as v1.2.3")
	fs.StringVar(&r.commit, "commit", "", "the commit")
	fs.StringVar(&r.date, "date", "", "the time of the commit, in RFC 3339")
	fs.StringVar(&r.linkerFlags, "ldflags", "", "the linker's flags that set the version")
	fs.StringVar(&r.architectureList, "architectures", "amd64,arm64", "the architectures of the image")
}

func (r *release) complete() error {
	if r.version == "" || !strings.HasPrefix(r.version, "v") || strings.Contains(r.version, "+") {
		return fmt.Errorf("the version %q must begin with a v and can have no +: it is the tag of an image", r.version)
	}
	if r.output == "" {
		return errors.New("name the folder of the release by -output")
	}
	var err error
	if r.time, err = time.Parse(time.RFC3339, r.date); err != nil {
		return fmt.Errorf("read the time of the commit: %w", err)
	}
	r.time = r.time.UTC()
	r.architectures = strings.Split(r.architectureList, ",")
	slices.Sort(r.architectures)
	return nil
}

// write writes all files of the release.
func (r *release) write(ctx context.Context) error {
	if err := r.complete(); err != nil {
		return err
	}
	if err := os.RemoveAll(r.output); err != nil {
		return fmt.Errorf("remove an earlier release: %w", err)
	}
	if err := os.MkdirAll(r.output, 0o755); err != nil { //nolint:gosec // files for everybody
		return fmt.Errorf("create the folder of the release: %w", err)
	}
	for _, step := range []func(context.Context) error{r.writeImage, r.writeManifests, r.writeChart, r.writeChecksums} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) path(name string) string { return filepath.Join(r.output, name) }

// writeImage builds the programs. It writes the image as an OCI layout and as an archive of the layout. It also writes
// the bill of materials.
func (r *release) writeImage(ctx context.Context) error {
	scratch, err := os.MkdirTemp("", "kubevision-release-")
	if err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	goroot, err := toolchain(ctx)
	if err != nil {
		return err
	}
	base, err := image.BaseFiles(goroot)
	if err != nil {
		return err
	}
	source := image.Source{Repository: r.repository, Version: r.version, Commit: r.commit, Time: r.time}
	images := map[string]v1.Image{}
	var programs []sbom.Program
	for _, architecture := range r.architectures {
		folder := filepath.Join(scratch, architecture)
		names, err := compile(ctx, r.root, architecture, r.linkerFlags, folder)
		if err != nil {
			return err
		}
		files, err := image.Programs(folder, names)
		if err != nil {
			return err
		}
		if images[architecture], err = image.Build(source, architecture, base, files); err != nil {
			return err
		}
		for i, f := range files {
			programs = append(programs, sbom.Program{Name: names[i] + "-linux-" + architecture, Content: f.Content})
		}
	}
	layout := r.path("image")
	index := image.Index(source, r.architectures, images)
	if err := image.WriteLayout(index, layout, r.repository, r.version); err != nil {
		return err
	}
	if err := image.WriteTarball(layout, r.path("kubevision-"+r.version+"-image.tar"), r.time); err != nil {
		return err
	}
	document, err := sbom.Describe(programs, r.version, r.time)
	if err != nil {
		return err
	}
	out, err := document.Encode()
	if err != nil {
		return err
	}
	return r.writeFile("kubevision-"+r.version+".spdx.json", out)
}

// writeManifests writes the manifests that install the release, and those that remove an installation.
func (r *release) writeManifests(context.Context) error {
	image := manifests.Image{Repository: r.repository, Tag: r.version}
	for name, folder := range map[string]string{"install.yaml": "default", "remove.yaml": "removal"} {
		out, err := manifests.RenderWith(filepath.Join(r.root, "config", folder), image)
		if err != nil {
			return err
		}
		if err := r.writeFile(name, out); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) writeChart(context.Context) error {
	c, err := chart.Load(filepath.Join(r.root, "charts", "kubevision"))
	if err != nil {
		return err
	}
	if err := chart.SetImage(c, r.repository); err != nil {
		return err
	}
	_, err = chart.Package(c, r.output, r.version, r.time)
	return err
}

// writeChecksums writes the checksums of the files in the format of sha256sum. It skips folders, such as the OCI image
// layout.
func (r *release) writeChecksums(context.Context) error {
	entries, err := os.ReadDir(r.output)
	if err != nil {
		return fmt.Errorf("list the release: %w", err)
	}
	var out strings.Builder
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		sum, err := checksum(r.path(e.Name()))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&out, "%s  %s\n", sum, e.Name())
	}
	return r.writeFile("SHA256SUMS", []byte(out.String()))
}

func checksum(path string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // a file of the release
	if err != nil {
		return "", fmt.Errorf("open a file of the release: %w", err)
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (r *release) writeFile(name string, content []byte) error {
	if err := os.WriteFile(r.path(name), content, 0o644); err != nil { //nolint:gosec // files for everybody
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
