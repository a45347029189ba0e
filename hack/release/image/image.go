// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// programsFolder is the folder of the programs in the image.
const programsFolder = "/usr/local/bin"

// Source describes the input of an image.
type Source struct {
	// Repository, Version and Commit describe the image.
	Repository, Version, Commit string
	// Time is the time of the commit.
	Time time.Time
}

// Programs reads the named programs in a folder, and returns them as files of the image.
func Programs(folder string, names []string) ([]File, error) {
	var out []File
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(folder, name)) //nolint:gosec // built here
		if err != nil {
			return nil, fmt.Errorf("read a program: %w", err)
		}
		out = append(out, File{Path: programsFolder + "/" + name, Mode: 0o755, Content: content})
	}
	return out, nil
}

// Build returns the image for an architecture: one layer with the base files, and one with the programs.
func Build(source Source, architecture string, base, programs []File) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, files := range [][]File{base, programs} {
		l, err := layer(files, source.Time)
		if err != nil {
			return nil, err
		}
		added := mutate.Addendum{Layer: l, History: v1.History{
			Created: v1.Time{Time: source.Time}, CreatedBy: "hack/release",
		}}
		if image, err = mutate.Append(image, added); err != nil {
			return nil, fmt.Errorf("append a layer: %w", err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", architecture, v1.Time{Time: source.Time}
	config.Config = v1.Config{
		User:       User,
		WorkingDir: "/",
		Entrypoint: []string{programsFolder + "/kubevision-apiserver"},
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
		},
		Labels: source.labels(),
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, fmt.Errorf("set the configuration: %w", err)
	}
	return image, nil
}

func (s Source) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    "KubeVision",
		"org.opencontainers.image.source":   "https://github.com/kubevision-io/kubevision",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.version":  s.Version,
		"org.opencontainers.image.revision": s.Commit,
		"org.opencontainers.image.created":  s.Time.Format(time.RFC3339),
	}
}

// Index returns an OCI image index that lists one image for each architecture, in the order of the slice architectures.
// The map images contains the image for each architecture.
func Index(source Source, architectures []string, images map[string]v1.Image) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, a := range architectures {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: images[a], Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: a}},
		})
	}
	labels, _ := mutate.Annotations(index, source.labels()).(v1.ImageIndex)
	return labels
}

// WriteLayout writes the index as an OCI image layout to a folder. Container runtimes import the image as "name:tag".
func WriteLayout(index v1.ImageIndex, folder, name, tag string) error {
	path, err := layout.Write(folder, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	if err != nil {
		return fmt.Errorf("write the layout: %w", err)
	}
	annotations := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          name + ":" + tag,
		"org.opencontainers.image.ref.name": tag,
	})
	if err := path.AppendIndex(index, annotations); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return nil
}

// WriteTarball writes the OCI image layout in a folder to a tar archive. The archive is reproducible: the entries are
// sorted by name, and all have the modification time modTime.
func WriteTarball(folder, tarball string, modTime time.Time) (reterr error) {
	file, err := os.Create(tarball) //nolint:gosec // named by the caller
	if err != nil {
		return fmt.Errorf("create the archive: %w", err)
	}
	defer func() {
		if err := file.Close(); err != nil && reterr == nil {
			reterr = fmt.Errorf("close the archive: %w", err)
		}
	}()
	writer := tar.NewWriter(file)
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		return appendFile(writer, path, filepath.ToSlash(name), entry, modTime)
	})
	if err != nil {
		return fmt.Errorf("archive the layout: %w", err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("archive the layout: %w", err)
	}
	return nil
}

func appendFile(writer *tar.Writer, path, name string, entry fs.DirEntry, modTime time.Time) error {
	if entry.IsDir() {
		return writer.WriteHeader(&tar.Header{
			Name: strings.TrimSuffix(name, "/") + "/", Mode: 0o755, ModTime: modTime, Typeflag: tar.TypeDir,
		})
	}
	file, err := os.Open(path) //nolint:gosec // a file of the layout
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o644, Size: info.Size(), ModTime: modTime, Typeflag: tar.TypeReg}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(writer, file)
	return err
}
